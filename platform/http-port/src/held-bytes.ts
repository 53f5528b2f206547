import type { IncomingHttpHeaders } from "node:http";
import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { ConnectError } from "@connectrpc/connect";

/** What one exchange holds of a budget of bytes. To be released when it holds nothing any more, as often as one likes. */
export interface HeldBytes {
  /**
   * Counts a chunk that has to wait for others; answers what to keep of it, and undefined when it can't be kept. A chunk may be a
   * view of much more: then what is to be kept is a copy.
   */
  keep(chunk: Buffer): Buffer | undefined;
  /** Holds so much from now on; false, and nothing is changed, when that is more than there is for it. */
  resize(bytes: number): boolean;
  release(): void;
  /** Releases and counts an answer that is broken off because it can't be kept. */
  breakOff(): void;
  /** Counts a request that can't be kept, and answers what it is refused with. */
  refusal(): ConnectError;
}

/** What an exchange takes place on; undefined once a session has gone. */
export type Connection = Socket | Http2Session | undefined;

/** How a port counts the bytes of an exchange: by its headers, the connection it came on, and the package that it asks. */
export type HoldBytes = (
  headers: IncomingHttpHeaders,
  connection: Connection,
  domain: string | undefined,
  maxBytes?: number,
) => HeldBytes;
