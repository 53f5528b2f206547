import type * as http from "node:http";
import type * as http2 from "node:http2";

/** A request of either version of HTTP, as Node presents it. */
export type AnyRequest = http.IncomingMessage | http2.Http2ServerRequest;
export type AnyResponse = http.ServerResponse | http2.Http2ServerResponse;
