import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { currentTrace, inTrace, traceparentHeader, tracestateHeader } from "@shop/core";
import { createListenerGuard, internalCredentialHeader } from "@shop/http-port";
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
import { MuxLinks } from "./mux-links.ts";
import { createMuxTransport } from "./mux-transport.ts";
import { OutlierDetection } from "./outlier-detection.ts";

/** The default deadline of calls to other services. */
const defaultTimeoutMs = 5_000;
const connectTimeoutMs = 2_000;
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
 * Transports to services: in memory to those hosted here, otherwise to the upstream's replicas, on multiplexed connections or over
 * HTTP/1.1. Calls carry the caller's credential and trace.
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
    const guard = createListenerGuard(() => {});
    return acrossReplicas(
      upstream.urls.map((baseUrl) => {
        const over = { baseUrl, httpVersion: "1.1", useBinaryFormat: true, defaultTimeoutMs } as const;
        return createMuxTransport(new MuxLinks(baseUrl, { connectTimeoutMs, guard }), {
          interceptors,
          defaultTimeoutMs,
          unaryOverHttp: createConnectTransport(over),
          streamsOverHttp: createConnectTransport({ ...over, interceptors }),
        });
      }),
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
      const ask = ({ transport, detection }: Replica, until = signal) =>
        detection.track(transport.unary(method, until, ...rest));
      if (!isRead(method)) return await ask(first);
      const done = new AbortController();
      const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
      const answer = ask(first, either);
      try {
        const soon = await within(hedgeAfterMs, answer);
        if (soon !== undefined) return soon;
        return await Promise.any(first === next ? [answer] : [answer, ask(next, either)]);
      } catch (error) {
        if (error instanceof AggregateError) throw error.errors[0];
        const timeIsUp = ConnectError.from(error).code === Code.DeadlineExceeded;
        if (timeIsUp || !isUnavailable(error)) throw error;
        return await ask(next, either);
      } finally {
        done.abort(callEnded);
      }
    },
    stream: (...call) => inTurn()[0].transport.stream(...call),
  };
}

/** Shared: the reason that `abort()` makes costs more than the rest of a call. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);

/** Settles like `answer`, or resolves with undefined after a time. */
function within<Answer>(ms: number, answer: Promise<Answer>): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => resolve(undefined), ms);
    answer.then(resolve, reject).finally(() => clearTimeout(late));
  });
}
