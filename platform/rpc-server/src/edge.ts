import type { ServerResponse } from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type AnyRequest,
  type AnyResponse,
  normalizeTarget,
  type OnePortOptions,
  onePortServerFactory,
} from "@shop/http-port";
import type { FastifyServerFactory } from "fastify";
import { nodeExchange, type Said, streamExchange } from "./exchange.ts";
import type { NoteClient } from "./pipeline/client.ts";
import { carryOut, type Pipeline, type Plan } from "./pipeline/pipeline.ts";
import { moveTicket } from "./pipeline/stream-tickets.ts";
import { answerAsBinary, isGrpcWebText } from "./protocols/grpc-web-text.ts";
import type { RequestHead } from "./protocols/protocol.ts";

/** Where requests enter: before Fastify, or by a hook of it. */
export interface Edge {
  /**
   * A port for both versions of HTTP, whose calls are answered without Fastify. By way of its hooks an ordinary call took 87 us of the
   * processor instead of 71 (median of seven turns each of GetProductByID in Connect's JSON, with and without `origin`; Node 24.21, two
   * cores). Fastify gets requests for its routes, and those that its hooks have to see: of pages of another origin, and with `expect`.
   */
  readonly serverFactory: FastifyServerFactory;
  /** What is to be done with a request that Fastify has received; undefined if its routes answer it. */
  planOf(request: AnyRequest, response: AnyResponse): Plan | undefined;
}

export interface EdgeOptions {
  readonly pipeline: Pipeline;
  readonly noteClient: NoteClient;
  readonly corsOrigins: readonly string[];
  readonly streamTickets?: boolean;
  readonly onePort: OnePortOptions;
}

const malformedTarget = new ConnectError(
  "the target of the request is malformed, or has dot segments or escapes that no path here needs",
  Code.InvalidArgument,
);
const refuseTarget: Plan = { isFinal: true, vary: undefined, answer: (exchange) => exchange.refuse(malformedTarget) };

/** HTTP methods that Fastify routes. By another one nothing is called, unless a rule of google.api.http names it. */
const routedMethods: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);

export function createEdge({ pipeline, noteClient, corsOrigins, streamTickets, onePort }: EdgeOptions): Edge {
  // Answers to pages of another origin have other headers.
  const varyByOrigin = corsOrigins.length > 0 && !corsOrigins.includes("*");
  /** Of requests that go on to Fastify. */
  const plans = new WeakMap<AnyRequest, Plan | undefined>();

  /** Brings a request into the form that everything after it relies on, and plans it. */
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

  function said(noted: Said, vary: string | undefined): Said {
    if (!varyByOrigin && vary === undefined) return noted;
    const names = [...(varyByOrigin ? ["Origin"] : []), ...(vary === undefined ? [] : [vary])];
    return { ...noted, vary: names.join(", ") };
  }

  function setNoted(request: AnyRequest, response: AnyResponse): void {
    for (const [name, value] of Object.entries(noteClient(request))) response.setHeader(name, value);
  }

  /** Answers a stream before Node has made a request of it. */
  function answersStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
    const target = normalizeTarget(headers[":path"] ?? "", hostOf(headers));
    if (target === undefined || !isDirect(headers) || isGrpcWebText({ headers })) return false;
    headers[":path"] = target;
    const head: RequestHead = { method: headers[":method"] ?? "GET", url: target, headers, source: "stream" };
    const plan = pipeline.plan(head);
    if (plan === undefined) return false;
    const noted = noteClient({ headers, socket: (stream.session?.socket ?? {}) as Socket });
    carryOut(plan, streamExchange(stream, headers, said(noted, plan.vary)), stream);
    return true;
  }

  const open = onePortServerFactory({ ...onePort, answersStream });
  return {
    serverFactory(handle, fastifyOptions) {
      const server = open((request, response) => {
        const plan = enter(request, response);
        if (plan !== undefined && skipsFastify(plan, request)) {
          carryOut(plan, nodeExchange(request, response, said(noteClient(request), plan.vary)), response);
          return;
        }
        plans.set(request, plan);
        setNoted(request, response);
        handle(request, response as ServerResponse);
      }, fastifyOptions);

      function skipsFastify({ isFinal }: Plan, { method = "GET", headers }: AnyRequest): boolean {
        // A port that closes has Fastify end its connections.
        return (isFinal && isDirect(headers) && server.listening) || !routedMethods.has(method);
      }
      return server;
    },
    planOf(request, response) {
      if (plans.has(request)) return plans.get(request);
      const plan = enter(request, response);
      setNoted(request, response);
      return plan;
    },
  };
}

/** Hooks of Fastify see what pages of another origin ask; and `expect` is answered before the request is. */
function isDirect(headers: IncomingHttpHeaders): boolean {
  return headers.origin === undefined && headers.expect === undefined;
}

function hostOf(headers: IncomingHttpHeaders): string | undefined {
  return (headers[":authority"] as string | undefined) ?? headers.host;
}
