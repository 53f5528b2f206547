/** The deepest nesting of arrays and objects: the depth to which protobuf-es reads messages. */
const maxDepth = 100;

/**
 * Counts the values of a JSON text by its commas and opening brackets. Returns Infinity if they nest deeper than 100 levels, or
 * if there are more than `maxDigits` digits in a row. Stops soon after `maxValues`. Invalid JSON is counted as far as it
 * resembles JSON.
 *
 * @param inTexts whether commas inside of strings count, too
 */
export function countJson(
  bytes: Uint8Array,
  {
    maxValues,
    maxDigits,
    inTexts,
  }: { readonly maxValues: number; readonly maxDigits: number; readonly inTexts: boolean },
): number {
  let values = 0;
  let depth = 0;
  let digits = 0;
  let isText = false;
  for (let at = 0; at < bytes.byteLength && values <= maxValues; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x30 && byte <= 0x39) {
      if (++digits > maxDigits) return Number.POSITIVE_INFINITY;
      continue;
    }
    digits = 0;
    if (isText) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) isText = false;
      else if (byte === 0x2c && inTexts) values++;
      continue;
    }
    switch (byte) {
      case 0x22: // "
        isText = true;
        break;
      case 0x2c: // ,
        values++;
        break;
      case 0x5b: // [
      case 0x7b: // {
        values++;
        if (++depth > maxDepth) return Number.POSITIVE_INFINITY;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
    }
  }
  return values;
}
