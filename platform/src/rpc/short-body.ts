import type { Http2Stream } from "node:http2";
import type { Readable } from "node:stream";

/** What was read of a body: all of it; more than was asked for, with the rest still to come; or what came before it broke off. */
export interface ShortBody {
  readonly state: "whole" | "long" | "broken";
  readonly chunks: readonly Buffer[];
}

/** Reads a body until its end, or until it is longer than so many bytes: then it pauses. Its errors are others' to hear. Never rejects. */
export function readShort(body: Readable, maxBytes: number): Promise<ShortBody> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let isOpen = true;
    const settle = (state: ShortBody["state"]) => {
      isOpen = false;
      resolve({ state, chunks });
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.byteLength;
      if (bytes <= maxBytes) return;
      body.off("data", onData).off("end", onEnd).off("close", onClose).pause();
      settle("long");
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
