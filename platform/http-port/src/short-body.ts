import type { Http2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { HeldBytes } from "./held-bytes.ts";

/**
 * The part of a body that was read: all of it (`whole`); more than the limit (`long`) or the budget (`full`), with the rest
 * still to come; or the part before it broke off (`broken`).
 */
export interface ShortBody {
  readonly state: "whole" | "long" | "full" | "broken";
  readonly chunks: readonly Buffer[];
}

/**
 * Reads a body until its end, or until it exceeds `maxBytes` or the budget: then it pauses. The bytes read stay counted. Does
 * not handle 'error' events. Never rejects.
 */
export function readShort(body: Readable, maxBytes: number, held: HeldBytes | undefined): Promise<ShortBody> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isOpen = true;
    const settle = (state: ShortBody["state"]) => {
      isOpen = false;
      resolve({ state, chunks });
    };
    const onData = (chunk: Buffer) => {
      const kept = held === undefined ? chunk : held.keep(chunk);
      // The chunk over budget is kept in `chunks`, for the receiver that the body is passed on to.
      chunks.push(kept ?? chunk);
      bytes += chunk.byteLength;
      if (kept !== undefined && bytes <= maxBytes) return;
      body.off("data", onData).off("end", onEnd).off("close", onClose).pause();
      settle(kept === undefined ? "full" : "long");
    };
    const onEnd = () => settle(isReset(body) ? "broken" : "whole");
    const onClose = () => {
      if (isOpen) settle("broken");
    };
    // A body that ended or broke earlier emits no more events.
    if (body.readableEnded) onEnd();
    else if (body.destroyed) onClose();
    else body.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

/** A reset HTTP/2 stream emits 'end' like a complete one. */
function isReset(body: Readable & Partial<Pick<Http2Stream, "rstCode">>): boolean {
  return (body.rstCode ?? 0) !== 0;
}
