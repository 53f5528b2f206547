import type { IncomingHttpHeaders } from "node:http";
import type { HeldBytes } from "@shop/http-port";
import type { Exchange } from "../exchange.ts";
import type { Call } from "../pipeline/classify.ts";

/** What of a request decides which protocol answers it. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** What there is of the request: Node's objects of HTTP/1.1 or HTTP/2, or the HTTP/2 stream, of which they have not been made. */
  readonly source: "http1" | "http2" | "stream";
}

/** One way of answering calls. A port has a list of them; the first that takes a call answers it. */
export interface Protocol {
  /** Whether it answers this call. Pure. */
  takes(call: Call, head: RequestHead): boolean;
  /** Authorizes, decodes, validates, invokes and encodes; or answers with the error of one of them. Never rejects. */
  answer(call: Call, exchange: Exchange): Promise<void>;
}

/** Counts the bytes that a call makes wait in memory. */
export type HoldCall = (call: Call, exchange: Exchange) => HeldBytes;
