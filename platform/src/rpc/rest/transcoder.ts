import {
  createRegistry,
  type DescFile,
  type DescMethod,
  type DescService,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { readBody } from "./body.ts";
import { entityTag, namesTag } from "./entity-tag.ts";
import { errorResponse } from "./error.ts";
import { file_google_rpc_error_details, type HttpRule } from "./google-types.ts";
import { addHeaders, type RestHeaders } from "./headers.ts";
import { httpStatus, withHttpStatus } from "./http-status.ts";
import { preconditionFailed } from "./if-match.ts";
import { decodeRequest } from "./request.ts";
import { encodeResponse } from "./response.ts";
import { encodeStream } from "./response-stream.ts";
import type { RestRoute } from "./route.ts";
import { createRestRoutes, type RestRoutes } from "./route-trie.ts";

/** An HTTP request; `path` and `query` as they came, still percent-encoded, the query without "?". */
export type RestRequest = {
  method: string;
  path: string;
  query: string;
  headers: Headers;
  /** null for a request without a body. It is read only if the host asks for the message. */
  body: AsyncIterable<Uint8Array> | null;
  /** Read only by those whom it concerns: it may be made when it is. */
  readonly signal: AbortSignal;
};

/** An HTTP response. */
export type RestResponse = {
  status: number;
  headers: RestHeaders;
  body: Uint8Array | AsyncIterable<Uint8Array>;
};

/** A call that a request became. */
export type RestCall = {
  route: RestRoute;
  /**
   * Reads the body and decodes the request, on the first call. Whatever must be refused regardless of the body
   * (no token, no permission) is refused before it is called.
   */
  message: () => Promise<Message>;
  header: Headers;
  readonly signal: AbortSignal;
  timeoutMs: number | undefined;
};

/**
 * What a call gave: the message, or the messages of a server-streaming method. The responses of Connect's transports
 * and interceptors are of this shape. Header and trailer become response headers; undefined are those that say nothing.
 */
export type RestResult = {
  header: Headers | undefined;
  trailer: Headers | undefined;
  message: Message | AsyncIterable<Message>;
};

/** Calls a method; fails with a ConnectError. */
export type RestInvoke = (method: DescMethod, call: RestCall) => Promise<RestResult>;

export type TranscoderOptions = {
  services: Iterable<DescService>;
  invoke: RestInvoke;
  /** Rules of a service configuration, over those in the proto files. */
  rules?: readonly HttpRule[];
  /** Types for google.protobuf.Any and error details; by default all of the services' files, with google.rpc's details. */
  registry?: Registry;
  /** The largest request body, before and after decompression. Default 1 MiB. */
  readMaxBytes?: number;
  /** How long a stream may wait for its first message before the response begins; until then errors get an HTTP status. Default 250. */
  firstMessageMs?: number;
  /** How often a quiet stream of Server-Sent Events sends a sign of life. Default 15,000. */
  keepAliveMs?: number;
};

/** Serves REST for Connect services by their `google.api.http` rules. */
export type Transcoder = {
  readonly routes: RestRoutes;
  readonly readMaxBytes: number;
  /** Answers a request. Never rejects: every failure is a response. */
  handle(request: RestRequest): Promise<RestResponse>;
};

/**
 * Creates a transcoder; routes are built and checked here, once.
 *
 * @throws Error naming the method, for rules that are invalid or collide
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const services = [...options.services];
  const { invoke, readMaxBytes = 1024 * 1024, firstMessageMs = 250, keepAliveMs = 15_000 } = options;
  const routes = createRestRoutes(services, options.rules);
  const registry = options.registry ?? registryOf(services);
  return { routes, readMaxBytes, handle };

  async function handle(request: RestRequest): Promise<RestResponse> {
    try {
      const match = routes.match(request.method, request.path);
      switch (match.kind) {
        case "match":
          return await answer(request, match.route, match.variables);
        case "method_not_allowed":
          return notAllowed(request, match.allow);
        case "not_found":
          throw new ConnectError(`there is nothing at ${request.path.slice(0, 200)}`, Code.NotFound);
      }
    } catch (error) {
      return withoutBodyOnHead(request, errorResponse(error, registry));
    }
  }

  async function answer(request: RestRequest, route: RestRoute, variables: readonly string[]): Promise<RestResponse> {
    const { method } = route;
    if (method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming")
      throw new ConnectError(`${method.name} streams requests, which REST cannot`, Code.Unimplemented);
    const decoding = { failure: undefined as unknown };
    let message: Promise<Message> | undefined;
    const result = await invoke(method, {
      route,
      message: () => {
        message ??= decode(request, route, variables).catch((error: unknown) => {
          decoding.failure = error;
          throw error;
        });
        return message;
      },
      header: request.headers,
      get signal() {
        return request.signal;
      },
      timeoutMs: timeoutMs(request.headers),
    }).catch((error: unknown) => {
      const told = keepHttpStatus(error, decoding.failure);
      const isConditional = route.etag !== undefined && request.headers.has("if-match");
      throw isConditional && told instanceof ConnectError ? preconditionFailed(told) : told;
    });
    const headers: RestHeaders = {};
    addHeaders(headers, result.header);
    addHeaders(headers, result.trailer, "trailer-");
    if (method.methodKind === "server_streaming")
      return await stream(request, route, headers, result.message as AsyncIterable<Message>);
    const { contentType, bytes, etag } = encodeResponse(route, result.message as Message, registry);
    if (route.httpMethod === "GET") {
      const tag = [headers.etag ?? entityTag(bytes, etag)].flat()[0]!;
      headers.etag = tag;
      const known = request.headers.get("if-none-match");
      if (known !== null && namesTag(known, tag)) return { status: 304, headers, body: new Uint8Array() };
    }
    headers["content-type"] = contentType;
    headers["content-length"] = String(bytes.byteLength);
    return withoutBodyOnHead(request, { status: 200, headers, body: bytes });
  }

  async function stream(
    request: RestRequest,
    route: RestRoute,
    headers: RestHeaders,
    messages: AsyncIterable<Message>,
  ): Promise<RestResponse> {
    if (request.method === "HEAD") {
      await messages[Symbol.asyncIterator]().return?.();
      return { status: 200, headers, body: new Uint8Array() };
    }
    const accept = request.headers.get("accept");
    const content = await encodeStream(route, messages, { accept, registry, firstMessageMs, keepAliveMs });
    headers["content-type"] = content.contentType;
    headers["cache-control"] ??= "no-store";
    return { status: 200, headers, body: content.body };
  }

  async function decode(request: RestRequest, route: RestRoute, variables: readonly string[]): Promise<Message> {
    const { body, headers, query } = request;
    const bytes = body === null ? undefined : await readBody(body, headers, readMaxBytes);
    const content = { bytes: bytes ?? new Uint8Array(), contentType: headers.get("content-type") };
    return decodeRequest(route, variables, query, content, registry, headers.get("if-match")).message;
  }

  function notAllowed(request: RestRequest, methods: string[]): RestResponse {
    const allow = [...new Set([...methods, "OPTIONS"])].join(", ");
    if (request.method === "OPTIONS") return { status: 204, headers: { allow }, body: new Uint8Array() };
    const error = new ConnectError(`${request.path.slice(0, 200)} allows ${allow}`, Code.Unimplemented, {
      allow,
    });
    return withoutBodyOnHead(request, errorResponse(withHttpStatus(error, 405), registry));
  }
}

/** Interceptors of the host may rebuild an error on its way; what HTTP alone tells apart must survive that. */
function keepHttpStatus(error: unknown, failure: unknown): unknown {
  if (error instanceof ConnectError && failure instanceof ConnectError && error.code === failure.code)
    return withHttpStatus(error, httpStatus(failure));
  return error;
}

/** HEAD answers with the headers of GET, its Content-Length included. */
function withoutBodyOnHead(request: RestRequest, response: RestResponse): RestResponse {
  return request.method === "HEAD" ? { ...response, body: new Uint8Array() } : response;
}

/** The deadline that a caller asks for with the header of the Connect protocol. */
function timeoutMs(headers: Headers): number | undefined {
  const text = headers.get("connect-timeout-ms");
  if (text === null) return undefined;
  if (!/^\d{1,10}$/.test(text))
    throw new ConnectError("Connect-Timeout-Ms must be an integer of at most 10 digits", Code.InvalidArgument);
  return Number(text);
}

function registryOf(services: readonly DescService[]): Registry {
  const files = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const service of services) add(service.file);
  // Types of the services' own files go last, so that they win over this package's copy of google.rpc.
  return createRegistry(file_google_rpc_error_details, ...files);
}
