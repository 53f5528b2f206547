import type { Http2Stream } from "node:http2";
import type { Readable } from "node:stream";
import type { HeldBytes } from "./held-bytes.ts";

/**
 * What was read of a body: all of it; more than was asked for, or than could be kept, with the rest still to come; or what came
 * before it broke off.
 */
export interface ShortBody {
  readonly state: "whole" | "long" | "full" | "broken";
  readonly chunks: readonly Buffer[];
}

/**
 * Reads a body until its end, or until it is longer than so many bytes, or than may be held: then it pauses. What was read stays
 * held. Its errors are others' to hear. Never rejects.
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
      // What can't be kept is still there for whom it is passed on to.
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
    // What ended, or broke, before anybody listened says so no more.
    if (body.readableEnded) onEnd();
    else if (body.destroyed) onClose();
    else body.on("data", onData).on("end", onEnd).on("close", onClose);
  });
}

/** A stream of HTTP/2 that was reset ends like one that is complete. */
function isReset(body: Readable & Partial<Pick<Http2Stream, "rstCode">>): boolean {
  return (body.rstCode ?? 0) !== 0;
}
