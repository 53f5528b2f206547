import type { IncomingHttpHeaders } from "node:http";

/** gRPC, gRPC-Web and Connect's streams say how long each message is before it comes. */
const enveloped = /^application\/(grpc(-web)?|connect)($|[+;])/i;
const prefixBytes = 5;

/**
 * Looks at the lengths of messages as they pass, without decoding them. `tooLarge` is called for the first that is longer than
 * `maxBytes`, ahead of it. Undefined for a content type that says no lengths.
 */
export function watchMessageSizes(
  contentType: string | undefined,
  maxBytes: number,
  tooLarge: () => void,
): ((chunk: Uint8Array) => void) | undefined {
  if (!enveloped.test(contentType ?? "")) return undefined;
  const prefix = Buffer.alloc(prefixBytes);
  let prefixSeen = 0;
  let messageLeft = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.byteLength; ) {
      if (messageLeft > 0) {
        const passing = Math.min(messageLeft, chunk.byteLength - at);
        messageLeft -= passing;
        at += passing;
        continue;
      }
      prefix[prefixSeen++] = chunk[at++]!;
      if (prefixSeen < prefixBytes) continue;
      prefixSeen = 0;
      messageLeft = prefix.readUInt32BE(1);
      if (messageLeft > maxBytes) return tooLarge();
    }
  };
}

/** Whether the body of one message, framed or not, says ahead that it is longer than the message may be. */
export function isTooLong({ "content-length": length }: IncomingHttpHeaders, maxBytes: number): boolean {
  return length !== undefined && Number(length) > maxBytes + prefixBytes;
}
