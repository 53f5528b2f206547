import type { IncomingHttpHeaders } from "node:http";

/** gRPC, gRPC-Web and Connect's streams prefix each message with its length. */
const enveloped = /^application\/(grpc(-web)?|connect)($|[+;])/i;
const prefixBytes = 5;

/**
 * Watches the length prefixes of messages as they pass, without decoding them. Calls `tooLarge` once a prefix exceeds
 * `maxBytes`, before that message. Undefined for a content type without prefixes.
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

/** Whether Content-Length shows a body of one message, enveloped or not, to be too large. */
export function isTooLong({ "content-length": length }: IncomingHttpHeaders, maxBytes: number): boolean {
  return length !== undefined && Number(length) > maxBytes + prefixBytes;
}
