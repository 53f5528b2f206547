import type * as http from "node:http";
import type * as http2 from "node:http2";
import { Code, type ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import {
  type AnyRequest,
  type AnyResponse,
  containRejection,
  discardBody,
  discardMaxBytes,
  drain,
  endInOnePiece,
} from "@shop/http-port";
import { boundedError, errorResponse } from "@shop/rest";

/**
 * Answers a request that reached no handler with an error in the caller's protocol: gRPC and gRPC-Web as trailers-only, Connect
 * as unary JSON or end of stream, everything else as google.rpc.Status JSON. Headers already set on the response are kept. The
 * rest of the request body is discarded. The response must not have been started.
 *
 * @param defaultHeaders headers that the answer has unless the error sets them; with `connection: close`, over HTTP/1.1, the
 * connection is closed once the rest of the request has been read
 */
export function writeProtocolError(
  request: AnyRequest,
  response: AnyResponse,
  error: ConnectError,
  defaultHeaders: http.OutgoingHttpHeaders = {},
): void {
  write(request, response, encodeProtocolError(request, error), defaultHeaders);
}

/** Whether a request uses an RPC protocol, by its headers and path; otherwise it is REST. */
export function isRpc(request: AnyRequest): boolean {
  return formOf(request, request.headers["content-type"] ?? "") !== "rest";
}

/**
 * Answers an RPC path with a disallowed HTTP method as RPC protocols do: by HTTP status 405 alone. Otherwise as
 * writeProtocolError.
 */
export function writeMethodNotAllowed(
  request: AnyRequest,
  response: AnyResponse,
  allowed: readonly string[],
  defaultHeaders: http.OutgoingHttpHeaders = {},
): void {
  write(request, response, { status: 405, headers: { allow: allowed.join(", ") }, body: nothing }, defaultHeaders);
}

function write(
  request: AnyRequest,
  response: AnyResponse,
  { status, headers, body }: EncodedError,
  defaultHeaders: http.OutgoingHttpHeaders,
): void {
  const head = { ...defaultHeaders, ...headers, "content-length": body.byteLength };
  if ("stream" in response) endOverHttp2(response, status, head, body);
  else if (defaultHeaders.connection === "close" || isLongOverHttp1(request)) {
    response.writeHead(status, { ...head, connection: "close" });
    containRejection(response, endAfterRequest(request, response, body));
    return;
  } else {
    response.writeHead(status, head);
    endInOnePiece(response, body);
  }
  discardBody(request, response);
}

/** A head sent by `end()` ends the stream: gRPC's trailers-only. */
function endOverHttp2(
  response: http2.Http2ServerResponse,
  status: number,
  head: http.OutgoingHttpHeaders,
  body: Uint8Array,
): void {
  response.statusCode = status;
  for (const name in head) response.setHeader(name, head[name] as string | string[]);
  if (body.byteLength === 0) response.end();
  else response.end(body);
}

/** HTTP/1.1 can stop a sender only by closing its connection, which is not justified for the rest of a short body. */
function isLongOverHttp1(request: AnyRequest): boolean {
  if (request.readableEnded || request.destroyed) return false;
  const { "content-length": length, "transfer-encoding": transfer } = request.headers;
  return transfer !== undefined || Number(length ?? 0) > discardMaxBytes;
}

/**
 * Announces that the connection closes, and closes it once the sender is done; earlier, a client that reuses it would see a
 * reset.
 */
async function endAfterRequest(request: AnyRequest, response: http.ServerResponse, body: Uint8Array): Promise<void> {
  response.flushHeaders();
  if (body.byteLength > 0) response.write(body);
  await drain(request);
  response.end();
}

/** The parts of a request that decide how its errors are encoded. */
type ErrorTarget = Pick<AnyRequest, "headers" | "url">;

export interface EncodedError {
  readonly status: number;
  readonly headers: http.OutgoingHttpHeaders;
  readonly body: Uint8Array;
}

const nothing = new Uint8Array(0);

/** Encodings of an error; the first two keep the content type of the request. */
type Form = "grpc" | "connect stream" | "connect unary" | "rest";

/** One error may answer many requests while the process is overloaded. */
const encodings = new WeakMap<ConnectError, Map<Form, EncodedError>>();

/** Encodes an error in the protocol of a request. */
export function encodeProtocolError(request: ErrorTarget, error: ConnectError): EncodedError {
  const contentType = request.headers["content-type"] ?? "";
  const form = formOf(request, contentType);
  const known = encodings.get(error) ?? new Map<Form, EncodedError>();
  const encoded = known.get(form) ?? encodeAs(form, boundedError(error));
  encodings.set(error, known.set(form, encoded));
  if (form === "connect unary" || form === "rest") return encoded;
  return { ...encoded, headers: { ...encoded.headers, "content-type": contentType } };
}

function formOf(request: ErrorTarget, contentType: string): Form {
  if (/^application\/grpc/i.test(contentType)) return "grpc";
  if (/^application\/connect\+/i.test(contentType)) return "connect stream";
  // Connect's header is optional and its JSON is plain JSON, so the path `/package.Service/Method` decides.
  if (request.headers["connect-protocol-version"] !== undefined) return "connect unary";
  if (/^application\/proto\b/i.test(contentType)) return "connect unary";
  return /^\/[a-z_]\w*(\.[a-z_]\w*)+\/[a-z_]\w*(\?|$)/i.test(request.url ?? "") ? "connect unary" : "rest";
}

function encodeAs(form: Form, error: ConnectError): EncodedError {
  switch (form) {
    case "grpc": {
      const trailers = setTrailerStatus(new Headers(), error);
      trailers.set("grpc-message", percentEncode(error.rawMessage));
      return { status: 200, headers: Object.fromEntries(trailers), body: nothing };
    }
    case "connect stream": {
      const end = Buffer.from(JSON.stringify(endStreamToJson(new Headers(), error, undefined)));
      return { status: 200, headers: {}, body: encodeEnvelope(endStreamFlag, end) };
    }
    case "connect unary": {
      const headers = { "content-type": "application/json" };
      // Connect's status for an unknown path is 404; 501 is for methods that exist.
      const status = error.code === Code.Unimplemented ? 404 : codeToHttpStatus(error.code);
      return { status, headers, body: errorToJsonBytes(error, undefined) };
    }
    case "rest":
      return errorResponse(error);
  }
}

/** gRPC's own rule (PROTOCOL-HTTP2, "Percent-Encoded"); encodeURIComponent would encode characters that peers don't decode. */
function percentEncode(message: string): string {
  return message.toWellFormed().replace(/[^\x20-\x24\x26-\x7e]/gu, encodeURIComponent);
}
