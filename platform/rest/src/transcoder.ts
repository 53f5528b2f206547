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
import { deepFreeze } from "./deep-freeze.ts";
import { namesTag } from "./entity-tag.ts";
import { errorResponse } from "./error.ts";
import { file_google_rpc_error_details, type HttpRule } from "./google-types.ts";
import { addHeaders, type RestHeaders } from "./headers.ts";
import { httpStatus, withHttpStatus } from "./http-status.ts";
import { preconditionFailed } from "./if-match.ts";
import type { JsonForm } from "./json-form.ts";
import { cutText, type MessageCheck } from "./refusal-limits.ts";
import { decodeRequest } from "./request.ts";
import { encodeResponse } from "./response.ts";
import { encodeStream } from "./response-stream.ts";
import { type Resumption, type ResumptionPaths, resumptionOf } from "./resumption.ts";
import type { RestRoute } from "./route.ts";
import { createRestRoutes } from "./route-trie.ts";
import { createTargets, type RestTarget } from "./target.ts";

/** An HTTP request. */
export type RestRequest = {
  method: string;
  /** The transcoder's result for the request line. */
  target: RestTarget;
  headers: Headers;
  /** null for a request without a body. It is read only if the host calls `message()`. */
  body: AsyncIterable<Uint8Array> | null;
  /** An accessor is only read when needed: it may create the signal lazily. */
  readonly signal: AbortSignal;
};

/** An HTTP response. */
export type RestResponse = {
  status: number;
  headers: RestHeaders;
  body: Uint8Array | AsyncIterable<Uint8Array>;
};

/** A call made from a request. */
export type RestCall = {
  route: RestRoute;
  /**
   * Reads the body and decodes the request, on the first call. Refuse requests independently of the body (no token, no
   * permission) before calling it.
   */
  message: () => Promise<Message>;
  header: Headers;
  readonly signal: AbortSignal;
  timeoutMs: number | undefined;
};

/**
 * The result of a call: the message, or the messages of a server-streaming method. Responses of Connect's transports and
 * interceptors have this shape. Header and trailer become response headers; undefined means empty.
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
  /** Rules of a service configuration, which override those in the proto files. */
  rules?: readonly HttpRule[];
  /** Types for google.protobuf.Any and error details; by default all of the services' files and google.rpc's details. */
  registry?: Registry;
  /** Field names in answers; requests may use either. Default "proto". */
  jsonNames?: "proto" | "lowerCamelCase";
  /** The largest request body, before and after decompression. Default 1 MiB. */
  readMaxBytes?: number;
  /** The longest deadline; later ones are capped to it. By default the longest timer of Node. */
  maxTimeoutMs?: number;
  /** Checks messages of a method before they are decoded. */
  checkOf?: (method: DescMethod) => MessageCheck;
  /** How streams of a method are resumed by Last-Event-ID; undefined if they are not. */
  resumptionOf?: (method: DescMethod) => ResumptionPaths | undefined;
  /**
   * How long a stream waits for its first message before the response begins; until then errors get an HTTP status. In
   * milliseconds, 250 by default.
   */
  firstMessageMs?: number;
  /**
   * How often an idle stream of Server-Sent Events sends a comment to keep the connection alive. In milliseconds, 15,000 by
   * default.
   */
  keepAliveMs?: number;
};

/** Serves REST for Connect services by their `google.api.http` rules. */
export type Transcoder = {
  readonly readMaxBytes: number;
  /** Resolves a request line; `url` is unmodified, with its query. */
  target(httpMethod: string, url: string): RestTarget;
  /** Answers a request. Never rejects: every failure becomes a response. */
  handle(request: RestRequest): Promise<RestResponse>;
  /** Answers a request for a unary method with an available result, without calling the method. */
  respond(request: Pick<RestRequest, "method" | "target" | "headers">, result: RestResult): RestResponse;
};

/**
 * Creates a transcoder; routes are built and checked once, here.
 *
 * @throws Error naming the method, for rules that are invalid or collide
 */
export function createTranscoder(options: TranscoderOptions): Transcoder {
  const services = [...options.services];
  const { maxTimeoutMs = 2 ** 31 - 1 } = options;
  const { invoke, checkOf, readMaxBytes = 1024 * 1024, firstMessageMs = 250, keepAliveMs = 15_000 } = options;
  const target = createTargets(createRestRoutes(services, options.rules));
  const registry = options.registry ?? registryOf(services);
  const form: JsonForm = { registry, useProtoFieldName: options.jsonNames !== "lowerCamelCase" };
  const resumptions = new Map<DescMethod, Resumption>();
  for (const method of services.flatMap((service) => service.methods)) {
    const paths = options.resumptionOf?.(method);
    if (paths !== undefined) resumptions.set(method, resumptionOf(method, paths));
  }
  return { readMaxBytes, target, handle, respond };

  async function handle(request: RestRequest): Promise<RestResponse> {
    try {
      const { match, path } = request.target;
      switch (match.kind) {
        case "match":
          return await answer(request, match.route, match.variables);
        case "method_not_allowed":
          return notAllowed(request, match.allow);
        case "not_found":
          throw new ConnectError(`there is nothing at ${cutText(path)}`, Code.NotFound);
      }
    } catch (error) {
      return withoutBodyOnHead(request, errorResponse(error, form));
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
      timeoutMs: timeoutMs(request.headers, maxTimeoutMs),
    }).catch((error: unknown) => {
      const failed = keepHttpStatus(error, decoding.failure);
      const isConditional = route.etag !== undefined && request.headers.has("if-match");
      throw isConditional && failed instanceof ConnectError ? preconditionFailed(failed) : failed;
    });
    if (method.methodKind !== "server_streaming") return respond(request, result);
    return await stream(request, route, headersOf(result), result.message as AsyncIterable<Message>);
  }

  function respond(request: Pick<RestRequest, "method" | "target" | "headers">, result: RestResult): RestResponse {
    const { match } = request.target;
    if (match.kind !== "match") throw new Error(`${request.target.path} is answered by no method`);
    const { route } = match;
    const headers = headersOf(result);
    const { contentType, bytes, entityTag } = encodeResponse(route, result.message as Message, form);
    if (entityTag !== undefined) {
      const tag = [headers.etag ?? entityTag].flat()[0]!;
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
    const resumption = resumptions.get(route.method);
    const content = await encodeStream(route, messages, { accept, form, resumption, firstMessageMs, keepAliveMs });
    headers["cache-control"] ??= "no-store";
    if (content === "nothing follows") return { status: 204, headers, body: new Uint8Array() };
    headers["content-type"] = content.contentType;
    // Otherwise nginx, and compatible proxies, buffer the answer.
    headers["x-accel-buffering"] = "no";
    return { status: 200, headers, body: content.body };
  }

  async function decode(request: RestRequest, route: RestRoute, variables: readonly string[]): Promise<Message> {
    const { body, headers, target } = request;
    const resumption = resumptions.get(route.method);
    const lastEventId = (resumption && headers.get("last-event-id")) ?? "";
    if (target.message !== undefined && body === null && lastEventId === "") return target.message;
    const bytes = body === null ? undefined : await readBody(body, headers, readMaxBytes);
    const content = { bytes: bytes ?? new Uint8Array(), contentType: headers.get("content-type") };
    const ifMatch = headers.get("if-match");
    const { message } = decodeRequest(
      route,
      variables,
      target.query,
      content,
      registry,
      ifMatch,
      checkOf?.(route.method),
      resumption && lastEventId !== "" ? { field: resumption.after, value: lastEventId } : undefined,
    );
    if (target.decides && body === null && lastEventId === "") target.message = deepFreeze(message);
    return message;
  }

  function notAllowed(request: RestRequest, methods: string[]): RestResponse {
    const allow = [...new Set([...methods, "OPTIONS"])].join(", ");
    if (request.method === "OPTIONS") return { status: 204, headers: { allow }, body: new Uint8Array() };
    const error = new ConnectError(`${cutText(request.target.path)} allows ${allow}`, Code.Unimplemented, {
      allow,
    });
    return withoutBodyOnHead(request, errorResponse(withHttpStatus(error, 405), form));
  }
}

/** Interceptors of the host may rebuild an error; its HTTP status must be kept. */
function keepHttpStatus(error: unknown, failure: unknown): unknown {
  if (error instanceof ConnectError && failure instanceof ConnectError && error.code === failure.code)
    return withHttpStatus(error, httpStatus(failure));
  return error;
}

/** HEAD answers with the headers of GET, its Content-Length included. */
function withoutBodyOnHead(request: Pick<RestRequest, "method">, response: RestResponse): RestResponse {
  return request.method === "HEAD" ? { ...response, body: new Uint8Array() } : response;
}

function headersOf({ header, trailer }: RestResult): RestHeaders {
  const headers: RestHeaders = {};
  addHeaders(headers, header);
  addHeaders(headers, trailer, "trailer-");
  return headers;
}

/** The timeout in the header of the Connect protocol. */
function timeoutMs(headers: Headers, maxTimeoutMs: number): number | undefined {
  const text = headers.get("connect-timeout-ms");
  if (text === null) return undefined;
  if (!/^\d{1,10}$/.test(text))
    throw new ConnectError("Connect-Timeout-Ms must be an integer of at most 10 digits", Code.InvalidArgument);
  return Math.min(Number(text), maxTimeoutMs);
}

function registryOf(services: readonly DescService[]): Registry {
  const files = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file)) return;
    files.add(file);
    for (const dependency of file.dependencies) add(dependency);
  };
  for (const service of services) add(service.file);
  // The services' own files come last, so that they override this package's copy of google.rpc.
  return createRegistry(file_google_rpc_error_details, ...files);
}
