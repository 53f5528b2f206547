import type { IncomingMessage, ServerResponse } from "node:http";
import type { HoldCall, Protocol } from "../protocols/protocol.ts";
import { answerConnect, isUsualConnect } from "./connect.ts";
import { answerGrpc, isUsualGrpc } from "./grpc.ts";
import type { UnaryMethods } from "./unary-method.ts";

/** Takes ordinary unary calls of the Connect protocol over HTTP/1.1. */
export function fastConnectCalls(methods: UnaryMethods, hold: HoldCall): Protocol {
  return {
    takes({ method, rest }, { method: httpMethod, headers, source }) {
      if (source !== "http1" || rest !== undefined || httpMethod !== "POST") return false;
      const unary = methods.get(method);
      return unary !== undefined && isUsualConnect(headers, unary);
    },
    answer(call, exchange) {
      const { request, response } = exchange.node();
      const [incoming, outgoing] = [request as IncomingMessage, response as ServerResponse];
      return answerConnect(
        methods.get(call.method)!,
        incoming,
        outgoing,
        exchange.defaultHeaders,
        hold(call, exchange),
      );
    },
  };
}

/** Takes ordinary unary calls of gRPC, on the HTTP/2 stream itself. */
export function fastGrpcCalls(methods: UnaryMethods, hold: HoldCall): Protocol {
  return {
    takes({ method, rest }, { method: httpMethod, headers, source }) {
      if (source !== "stream" || rest !== undefined || httpMethod !== "POST") return false;
      const unary = methods.get(method);
      return unary !== undefined && isUsualGrpc(headers, unary);
    },
    answer(call, exchange) {
      const { stream, headers, defaultHeaders } = exchange;
      return answerGrpc(methods.get(call.method)!, stream!, headers, defaultHeaders, hold(call, exchange));
    },
  };
}
