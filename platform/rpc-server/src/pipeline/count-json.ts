/** How deep arrays and objects may nest: as deep as protobuf-es reads messages. */
const maxDepth = 100;

/**
 * The values of a JSON text, as its commas and opening brackets tell; Infinity where they nest deeper than 100 levels, or where
 * too many digits come in a row. Counts no further than `maxValues`. What is no JSON is counted as far as it looks like it.
 *
 * @param inTexts whether commas inside of texts count, too
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
