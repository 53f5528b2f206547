import { setTimeout as delay } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { currentTrace, inTrace, traceparentHeader, tracestateHeader } from "@shop/core";
import { internalCredentialHeader } from "@shop/http-port";
import {
  codeOf,
  createInMemoryTransport,
  endClientSpan,
  isRead,
  isUnavailable,
  type RouterOptions,
  startClientSpan,
  whenEnded,
} from "@shop/rpc-server";
import { OutlierDetection } from "./outlier-detection.ts";

/** The default deadline of calls to other services. */
const defaultTimeoutMs = 5_000;
/** A read unanswered for this time is sent to a second replica as well. */
const hedgeAfterMs = 500;

/** Returns the transport to a service: the only place that differs between one process and many. */
export type TransportTo = (service: DescService) => Transport;

export interface UpstreamService {
  /** The module that hosts the service: the audience of credentials for it. */
  readonly name: string;
  readonly service: DescService;
  readonly urls: readonly string[];
}

export interface TransportOptions {
  /** Returns the module of a service hosted in this process, and how to register it; called at the first call. */
  hosted(service: DescService): { readonly name: string; readonly routes: (router: ConnectRouter) => void } | undefined;
  readonly routerOptions: RouterOptions;
  readonly upstreams: readonly UpstreamService[];
  /** Issues the caller's credential for a module. */
  readonly credentialFor: (audience: string) => string;
}

/**
 * Transports to services: in memory to those hosted here, otherwise over HTTP/1.1 to the upstream's replicas. Calls carry the
 * caller's credential and trace.
 */
export function createTransportTo(options: TransportOptions): TransportTo {
  const made = new Map<string, Transport>();

  function make(service: DescService): Transport {
    const hosted = options.hosted(service);
    if (hosted !== undefined) {
      const interceptors = [callerInterceptor(() => options.credentialFor(hosted.name))];
      return createInMemoryTransport(hosted.routes, options.routerOptions, { interceptors, defaultTimeoutMs });
    }
    const upstream = options.upstreams.find((candidate) => candidate.service.typeName === service.typeName);
    if (upstream === undefined) throw new Error(`no upstream is configured for ${service.typeName}`);
    const interceptors = [callerInterceptor(() => options.credentialFor(upstream.name))];
    return acrossReplicas(
      upstream.urls.map((baseUrl) =>
        createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true, interceptors, defaultTimeoutMs }),
      ),
    );
  }

  // Chosen at the first call: modules request transports while other modules of the process have not started yet.
  return (service) => {
    const transport = () => {
      const known = made.get(service.typeName) ?? make(service);
      made.set(service.typeName, known);
      return known;
    };
    return {
      unary: (...call) => transport().unary(...call),
      stream: (...call) => transport().stream(...call),
    };
  };
}

/** Adds the caller's credential and trace. */
function callerInterceptor(credential: () => string): Interceptor {
  return (next) => async (request) => {
    request.header.set(internalCredentialHeader, credential());
    const span = startClientSpan(request.method);
    const trace = span ?? currentTrace();
    if (trace !== undefined) request.header.set(traceparentHeader, trace.traceparent);
    if (trace?.tracestate !== undefined) request.header.set(tracestateHeader, trace.tracestate);
    if (span === undefined) return await next(request);
    return await inTrace(span, () => whenEnded(next, request, (error) => endClientSpan(span, codeOf(error))));
  };
}

/**
 * Distributes calls over replicas in turn, detection last. A read that failed because a replica was unavailable is retried once,
 * on the next replica. A read without an answer after {@link hedgeAfterMs} is also sent to the next replica, and the first
 * answer wins. Writes are sent once.
 */
function acrossReplicas(transports: readonly Transport[]): Transport {
  const replicas = transports.map((transport) => ({ transport, detection: new OutlierDetection() }));
  type Replica = (typeof replicas)[number];
  let turn = 0;
  const inTurn = (): readonly [Replica, Replica] => {
    // Read once: concurrent calls advance `turn`, and might return the same replica twice.
    const first = turn++ % replicas.length;
    const wheel = [...replicas.slice(first), ...replicas.slice(0, first)];
    wheel.sort((a, b) => Number(a.detection.isOutlier) - Number(b.detection.isOutlier));
    return [wheel[0]!, wheel[1] ?? wheel[0]!];
  };
  return {
    async unary(method, signal, ...rest) {
      const [first, next] = inTurn();
      const done = new AbortController();
      const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
      const ask = ({ transport, detection }: Replica) => detection.track(transport.unary(method, either, ...rest));
      const answer = ask(first);
      if (!isRead(method)) return await answer;
      try {
        const late = delay(hedgeAfterMs, "late" as const, { signal: done.signal });
        const soon = await Promise.race([answer, late]);
        if (soon !== "late") return soon;
        return await Promise.any(first === next ? [answer] : [answer, ask(next)]);
      } catch (error) {
        if (error instanceof AggregateError) throw error.errors[0];
        const timeIsUp = ConnectError.from(error).code === Code.DeadlineExceeded;
        if (timeIsUp || !isUnavailable(error)) throw error;
        return await ask(next);
      } finally {
        done.abort();
      }
    },
    stream: (...call) => inTurn()[0].transport.stream(...call),
  };
}
