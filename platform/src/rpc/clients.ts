import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createRouterTransport,
  type Interceptor,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type InternalCredentials, internalCredentialHeader } from "../auth/internal-credential.ts";
import { isDependencyLost } from "../dependency-lost.ts";
import { currentTraceparent, traceparentHeader } from "../trace.ts";
import type { RouterOptions } from "./router-options.ts";

/** No call to a neighbour waits longer than this, unless it says so itself. */
const defaultTimeoutMs = 5_000;

/** How to call a service. The only seam between one process and many. */
export type TransportTo = (service: DescService) => Transport;

export interface Neighbour {
  readonly service: DescService;
  readonly urls: readonly string[];
}

export interface TransportOptions {
  /** The services hosted in this process, and how to register them; asked for at the first call. */
  hosted(service: DescService): ((router: ConnectRouter) => void) | undefined;
  readonly routerOptions: RouterOptions;
  readonly neighbours: readonly Neighbour[];
  readonly credentials: InternalCredentials;
}

export function createTransportTo(options: TransportOptions): TransportTo {
  const interceptors = [callerInterceptor(options.credentials)];
  const made = new Map<string, Transport>();

  function make(service: DescService): Transport {
    const routes = options.hosted(service);
    if (routes !== undefined) {
      return createRouterTransport(routes, {
        router: options.routerOptions,
        transport: { interceptors, defaultTimeoutMs },
      });
    }
    const neighbour = options.neighbours.find((candidate) => candidate.service.typeName === service.typeName);
    if (neighbour === undefined) throw new Error(`nothing says where ${service.typeName} is`);
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
function callerInterceptor(credentials: InternalCredentials): Interceptor {
  return (next) => async (request) => {
    request.header.set(internalCredentialHeader, await credentials.issue());
    const traceparent = currentTraceparent();
    if (traceparent !== undefined) request.header.set(traceparentHeader, traceparent);
    return await next(request);
  };
}

/** Replicas take turns. A read that a replica did not take, or that broke, is tried once more, on the next one. */
function firstThatAnswers(replicas: readonly Transport[]): Transport {
  let turn = 0;
  const replica = (index: number) => replicas[index % replicas.length]!;
  return {
    async unary(...call) {
      const [method] = call;
      // Taken once: other calls turn the wheel meanwhile, and the next one of theirs may be the same as this one's first.
      const first = turn++;
      try {
        return await replica(first).unary(...call);
      } catch (error) {
        const isRead = method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
        const timeIsUp = ConnectError.from(error).code === Code.DeadlineExceeded;
        if (!isRead || timeIsUp || !isDependencyLost(error)) throw error;
        return await replica(first + 1).unary(...call);
      }
    },
    stream: (...call) => replica(turn++).stream(...call),
  };
}
