import type { ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AnyRequest,
  type AnyResponse,
  type MuxCall,
  normalizeTarget,
  type OnePortOptions,
  onePortServerFactory,
} from "@shop/http-port";
import type { FastifyServerFactory } from "fastify";
import { type DefaultHeaders, nodeExchange, streamExchange } from "./exchange.ts";
import type { IdentifyClient } from "./pipeline/client.ts";
import { carryOut, type Pipeline, type Plan } from "./pipeline/pipeline.ts";
import { moveTicket } from "./pipeline/stream-tickets.ts";
import { answerAsBinary, isGrpcWebText } from "./protocols/grpc-web-text.ts";
import type { RequestHead } from "./protocols/protocol.ts";

/** Where requests enter: in the server factory before Fastify, or through a Fastify hook. */
export interface Edge {
  /**
   * A port for both versions of HTTP that answers calls without Fastify. Through Fastify's hooks an ordinary call took 87 us of
   * CPU instead of 71 (median of seven alternating runs of GetProductByID in Connect's JSON, with and without `origin`; Node
   * 24.21, two cores). Fastify still gets requests for its own routes, and requests that its hooks must see: cross-origin ones
   * and those with `expect`.
   */
  readonly serverFactory: FastifyServerFactory;
  /** The plan for a request that Fastify has received; undefined if a Fastify route answers it. */
  planOf(request: AnyRequest, response: AnyResponse): Plan | undefined;
}

export interface EdgeOptions {
  readonly pipeline: Pipeline;
  readonly identifyClient: IdentifyClient;
  readonly corsOrigins: readonly string[];
  readonly streamTickets?: boolean;
  /** Whether other processes of the platform may call over multiplexed connections. */
  readonly mux: boolean;
  readonly onePort: OnePortOptions;
}

const malformedTarget = new ConnectError(
  "the target of the request is malformed, or has dot segments or escapes that no path here needs",
  Code.InvalidArgument,
);
const refuseTarget: Plan = { isFinal: true, vary: undefined, answer: (exchange) => exchange.refuse(malformedTarget) };

/** HTTP methods that Fastify routes. Any other method calls something only if a google.api.http rule names it. */
const routedMethods: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);

export function createEdge({ pipeline, identifyClient, corsOrigins, streamTickets, mux, onePort }: EdgeOptions): Edge {
  // Answers to cross-origin requests carry other headers.
  const varyByOrigin = corsOrigins.length > 0 && !corsOrigins.includes("*");
  /** Plans of requests that were passed on to Fastify. */
  const plans = new WeakMap<AnyRequest, Plan | undefined>();

  /** Normalizes a request into the form that all later stages rely on, and plans it. */
  function enter(request: AnyRequest, response: AnyResponse): Plan | undefined {
    const target = normalizeTarget(request.url ?? "", hostOf(request.headers));
    if (target === undefined) return refuseTarget;
    request.url = target;
    if (streamTickets) moveTicket(request);
    if (isGrpcWebText(request)) answerAsBinary(request, response);
    return pipeline.plan({
      method: request.method ?? "GET",
      url: request.url,
      headers: request.headers,
      source: request.httpVersionMajor === 1 ? "http1" : "http2",
    });
  }

  function withVary(headers: DefaultHeaders, vary: string | undefined): DefaultHeaders {
    if (!varyByOrigin && vary === undefined) return headers;
    const names = [...(varyByOrigin ? ["Origin"] : []), ...(vary === undefined ? [] : [vary])];
    return { ...headers, vary: names.join(", ") };
  }

  function setDefaultHeaders(request: AnyRequest, response: AnyResponse): void {
    for (const [name, value] of Object.entries(identifyClient(request))) response.setHeader(name, value);
  }

  /** Answers an HTTP/2 stream before Node has created request and response objects for it. */
  function answersStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const target = normalizeTarget(headers[":path"] ?? "", hostOf(headers));
    if (target === undefined || !isDirect(headers) || isGrpcWebText({ headers })) return false;
    headers[":path"] = target;
    const head: RequestHead = { method: headers[":method"] ?? "GET", url: target, headers, source: "stream" };
    const plan = pipeline.plan(head);
    if (plan === undefined) return false;
    const defaultHeaders = identifyClient({ headers, socket: (stream.session?.socket ?? {}) as Socket });
    carryOut(plan, streamExchange(stream, headers, withVary(defaultHeaders, plan.vary)), stream);
    return true;
  }

  function answersMux(call: MuxCall): Promise<void> | void {
    const target = normalizeTarget(call.path, hostOf(call.headers));
    // Over HTTP it is refused in the request's protocol.
    if (target === undefined) return call.decline();
    call.path = target;
    identifyClient(call);
    return pipeline.answerMux(call);
  }

  const open = onePortServerFactory({ ...onePort, answersStream, ...(mux && { answersMux }) });
  return {
    serverFactory(handle, fastifyOptions) {
      const server = open((request, response) => {
        const plan = enter(request, response);
        if (plan !== undefined && skipsFastify(plan, request)) {
          carryOut(plan, nodeExchange(request, response, withVary(identifyClient(request), plan.vary)), response);
          return;
        }
        plans.set(request, plan);
        setDefaultHeaders(request, response);
        handle(request, response as ServerResponse);
      }, fastifyOptions);

      function skipsFastify({ isFinal }: Plan, { method = "GET", headers }: AnyRequest): boolean {
        return (isFinal && isDirect(headers)) || !routedMethods.has(method);
      }
      return server;
    },
    planOf(request, response) {
      if (plans.has(request)) return plans.get(request);
      const plan = enter(request, response);
      setDefaultHeaders(request, response);
      return plan;
    },
  };
}

/** Fastify's hooks must see cross-origin requests (CORS); `expect` is answered before the request is. */
function isDirect(headers: IncomingHttpHeaders): boolean {
  return headers.origin === undefined && headers.expect === undefined;
}

function hostOf(headers: IncomingHttpHeaders): string | undefined {
  return (headers[":authority"] as string | undefined) ?? headers.host;
}
