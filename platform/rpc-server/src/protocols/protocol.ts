import type { IncomingHttpHeaders } from "node:http";
import type { HeldBytes } from "@shop/http-port";
import type { Exchange } from "../exchange.ts";
import type { Call } from "../pipeline/classify.ts";

/** The part of a request that decides which protocol answers it. */
export interface RequestHead {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /**
   * The form of the request: Node's objects of HTTP/1.1 or HTTP/2, or an HTTP/2 stream for which Node has not created objects.
   */
  readonly source: "http1" | "http2" | "stream";
}

/** A protocol handler. A port has a list of them; the first that takes a call answers it. */
export interface Protocol {
  /** Whether it answers this call. Pure. */
  takes(call: Call, head: RequestHead): boolean;
  /** Authorizes, decodes, validates, invokes and encodes, or answers with the error of one of these stages. Never rejects. */
  answer(call: Call, exchange: Exchange): Promise<void>;
}

/** Creates the byte accounting for what a call buffers in memory. */
export type HoldCall = (call: Call, exchange: Exchange) => HeldBytes;
