import type { ServerResponse } from "node:http";

/** Longer bodies are not worth a copy. */
const maxCopiedBytes = 65_536;

/**
 * Ends an answer over HTTP/1.1. As text of one byte a character a body leaves in one piece with its head, where bytes are written
 * apart from it, at twice the cost.
 */
export function endInOnePiece(response: ServerResponse, body: Uint8Array): void {
  if (body.byteLength > maxCopiedBytes) response.end(body);
  else response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1");
}
