import type { OutgoingMessage } from "node:http";

/** Longer bodies are not worth a copy. */
const maxCopiedBytes = 65_536;

/**
 * Ends an answer, or a request, over HTTP/1.1. As text of one byte a character a body leaves in one piece with its head, where
 * bytes are written apart from it, at twice the cost.
 */
export function endInOnePiece(message: OutgoingMessage, body: Uint8Array): void {
  if (body.byteLength === 0) message.end();
  else if (body.byteLength > maxCopiedBytes) message.end(body);
  else message.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1");
}
