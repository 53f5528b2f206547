import type { IncomingHttpHeaders } from "node:http";
import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ConnectError } from "@connectrpc/connect";

/** The bytes of a budget that one exchange holds. Release it once it holds nothing; releasing again is harmless. */
export interface HeldBytes {
  /**
   * Counts a chunk that has to be buffered. Returns the buffer to keep, or undefined if the budget is exceeded. A chunk may be
   * a view of a much larger buffer: then a copy is returned.
   */
  keep(chunk: Buffer): Buffer | undefined;
  /** Sets the number of bytes held. Returns false, and changes nothing, if that exceeds the budget. */
  resize(bytes: number): boolean;
  release(): void;
  /** Releases, and counts an answer that is aborted because the budget is exceeded. */
  breakOff(): void;
  /** Counts a refused request, and returns the error for it. */
  refusal(): ConnectError;
}

/** The connection of an exchange; undefined once its session is closed. */
export type Connection = Socket | Http2Session | undefined;

/** Starts counting the bytes of an exchange, by its headers, its connection, and the proto package of the called service. */
export type HoldBytes = (
  headers: IncomingHttpHeaders,
  connection: Connection,
  domain: string | undefined,
  maxBytes?: number,
) => HeldBytes;
