import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DescMethod } from "@bufbuild/protobuf";
import type { MethodImplSpec } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { containRejection, type HoldBytes } from "@shop/http-port";
import { answerConnect, isUsualConnect } from "./connect.ts";
import { answerGrpc, isUsualGrpc } from "./grpc.ts";
import { type CallOptions, leanMethods } from "./lean-method.ts";

export interface LeanOptions extends CallOptions {
  /**
   * Connect's own handlers, which answer what is unusual once it is read. What they are wrapped in for the sake of requests that
   * can't be read counts here, too.
   */
  readonly handlers: readonly UniversalHandler[];
  readonly specs: ReadonlyMap<DescMethod, MethodImplSpec>;
  /**
   * The last word of the host before a call is answered here: what every answer says in headers; undefined to have the request
   * answered elsewhere.
   */
  admit(method: DescMethod, request: Pick<IncomingMessage, "headers" | "socket">): OutgoingHttpHeaders | undefined;
  readonly holdBytes: HoldBytes;
}

/** Answers the usual calls of unary methods; the answer `false` means that nothing was touched and somebody else has to. */
export interface LeanCalls {
  /** The Connect protocol over HTTP/1.1. */
  request(request: IncomingMessage, response: ServerResponse): boolean;
  /** gRPC. */
  stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

export function createLeanCalls(options: LeanOptions): LeanCalls {
  const methods = leanMethods(options.handlers, options.specs, options);
  return {
    request(request, response) {
      const method = methods.get(request.url!);
      if (method === undefined || request.method !== "POST" || !isUsualConnect(request.headers, method)) return false;
      const said = options.admit(method.desc, request);
      if (said === undefined) return false;
      const held = options.holdBytes(request.headers, request.socket, domainOf(method.desc));
      containRejection(response, answerConnect(method, request, response, said, held));
      return true;
    },
    stream(stream, headers) {
      const method = methods.get(headers[":path"]!);
      if (method === undefined || headers[":method"] !== "POST" || !isUsualGrpc(headers, method)) return false;
      const said = options.admit(method.desc, { headers, socket: (stream.session?.socket ?? {}) as Socket });
      if (said === undefined) return false;
      const held = options.holdBytes(headers, stream.session, domainOf(method.desc));
      containRejection(stream, answerGrpc(method, stream, headers, said, held));
      return true;
    },
  };
}

function domainOf({ parent }: DescMethod): string {
  return parent.file.proto.package;
}
