import type { OutgoingMessage } from "node:http";

/** Longer bodies are not copied. */
const maxCopiedBytes = 65_536;

/**
 * Ends an answer, or a request, over HTTP/1.1. Node sends a latin1 string in one write with the head, but bytes in a write of
 * their own, at twice the cost.
 */
export function endInOnePiece(message: OutgoingMessage, body: Uint8Array): void {
  if (body.byteLength === 0) message.end();
  else if (body.byteLength > maxCopiedBytes) message.end(body);
  else message.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1");
}
