import { setTimeout as delay } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { currentTraceparent, traceparentHeader } from "@shop/core";
import { internalCredentialHeader } from "@shop/http-port";
import { createInMemoryTransport, isRead, isUnavailable, type RouterOptions } from "@shop/rpc-server";
import { OutlierDetection } from "./outlier-detection.ts";

/** No call to a neighbour waits longer than this, unless it says so itself. */
const defaultTimeoutMs = 5_000;
/** A read that has waited so long is asked of another replica too. */
const secondAskMs = 500;

/** How to call a service. The only seam between one process and many. */
export type TransportTo = (service: DescService) => Transport;

export interface UpstreamService {
  /** Of the service in the shop's own sense, the module: what credentials for it name as their audience. */
  readonly name: string;
  readonly service: DescService;
  readonly urls: readonly string[];
}

export interface TransportOptions {
  /** The services hosted in this process, by which module and how to register them; asked for at the first call. */
  hosted(service: DescService): { readonly name: string; readonly routes: (router: ConnectRouter) => void } | undefined;
  readonly routerOptions: RouterOptions;
  readonly upstreams: readonly UpstreamService[];
  /** The caller's credential for a module. */
  readonly credentialFor: (audience: string) => string;
}

export function createTransportTo(options: TransportOptions): TransportTo {
  const made = new Map<string, Transport>();

  function make(service: DescService): Transport {
    const hosted = options.hosted(service);
    if (hosted !== undefined) {
      const interceptors = [callerInterceptor(() => options.credentialFor(hosted.name))];
      return createInMemoryTransport(hosted.routes, options.routerOptions, { interceptors, defaultTimeoutMs });
    }
    const neighbour = options.upstreams.find((candidate) => candidate.service.typeName === service.typeName);
    if (neighbour === undefined) throw new Error(`nothing says where ${service.typeName} is`);
    const interceptors = [callerInterceptor(() => options.credentialFor(neighbour.name))];
    return firstThatAnswers(
      neighbour.urls.map((baseUrl) =>
        createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: true, interceptors, defaultTimeoutMs }),
      ),
    );
  }

  // A module asks while it starts, when its neighbours in the same process have not started: so the choice is made late.
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

/** Says who calls and in which trace. */
function callerInterceptor(credential: () => string): Interceptor {
  return (next) => async (request) => {
    request.header.set(internalCredentialHeader, credential());
    const traceparent = currentTraceparent();
    if (traceparent !== undefined) request.header.set(traceparentHeader, traceparent);
    return await next(request);
  };
}

/**
 * Replicas take turns; one that leaves calls unanswered comes last. A read that a replica did not take, or that broke, is
 * tried once more, on the next one; a read that has to wait is asked of the next one too, and the first answer counts.
 */
function firstThatAnswers(transports: readonly Transport[]): Transport {
  const replicas = transports.map((transport) => ({ transport, silence: new OutlierDetection() }));
  type Replica = (typeof replicas)[number];
  let turn = 0;
  const inTurn = (): readonly [Replica, Replica] => {
    // Taken once: other calls turn the wheel meanwhile, and the next one of theirs may be the same as this one's first.
    const first = turn++ % replicas.length;
    const wheel = [...replicas.slice(first), ...replicas.slice(0, first)];
    wheel.sort((a, b) => Number(a.silence.isOutlier) - Number(b.silence.isOutlier));
    return [wheel[0]!, wheel[1] ?? wheel[0]!];
  };
  return {
    async unary(method, signal, ...rest) {
      const [first, next] = inTurn();
      const done = new AbortController();
      const either = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal]);
      const ask = ({ transport, silence }: Replica) => silence.during(transport.unary(method, either, ...rest));
      const answer = ask(first);
      if (!isRead(method)) return await answer;
      try {
        const late = delay(secondAskMs, "late" as const, { signal: done.signal });
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
