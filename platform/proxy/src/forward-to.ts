import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError } from "@shop/core";
import {
  clientAddressHeader,
  createListenerGuard,
  forwardingCredentialHeader,
  internalCredentialHeader,
  NodeHeaders,
} from "@shop/http-port";
import {
  callerTimeoutMs,
  dependencyLost,
  type Forwarding,
  type ForwardingPort,
  forwardingTimeoutMs,
  type OpenForwarding,
  reportNetworkErrors,
  toConnectError,
  unansweredMessage,
} from "@shop/rpc-server";
import type { Neighbour } from "./clients.ts";
import { createForwarder, type ForwardFailure, type NoAnswer, unreachableMessage, type WaitLimits } from "./forward.ts";
import { tellForwarded } from "./request-head.ts";
import { createForeignCalls } from "./vendor-calls.ts";

export interface Upstreams {
  readonly neighbours: readonly Neighbour[];
  /**
   * Whether they are no ports of this platform: they know no REST, and perhaps nothing but gRPC. Calls that they would not
   * understand are then decoded here and made anew. False by default.
   */
  readonly areForeign?: boolean;
  /**
   * The credential, for a module, under which forwarded requests say who the client is. Absent when upstreams are no parts of
   * the platform: they can read X-Forwarded-For.
   */
  readonly credentialFor?: (audience: string) => string;
}

const noAnswers: Readonly<Record<NoAnswer, (method: DescMethod) => DomainError>> = {
  unreachable: () =>
    new DomainError("unavailable", "SERVICE_UNREACHABLE", "the service cannot be reached, nothing was done", {
      retryAfterMs: 1_000,
    }),
  unanswered: (method) => dependencyLost(unansweredMessage(method)),
};

/** Forwards calls of the services that a port exposes and does not host. */
export function forwardTo(upstreams: Upstreams): OpenForwarding {
  return (port) => createForwarding(upstreams, port);
}

function createForwarding(upstreams: Upstreams, options: ForwardingPort): Forwarding {
  const { credentialFor } = upstreams;
  const exposed = new Set(options.services.map((service) => service.typeName));
  const neighbours = upstreams.neighbours.filter(({ service }) => exposed.has(service.typeName));
  const names = new Map(neighbours.map(({ service, name }) => [service.typeName, name]));
  const onFailure = ({ replica, error }: ForwardFailure) =>
    options.log.warn({ replica, err: error }, "a replica did not answer");
  const forwarder = createForwarder({
    guard: createListenerGuard(reportNetworkErrors(options)),
    upstreams: Object.fromEntries(neighbours.map(({ service, urls }) => [service.typeName, urls])),
    // Nobody outside is a part of the platform, whatever they say.
    dropRequestHeaders: [internalCredentialHeader, clientAddressHeader, forwardingCredentialHeader],
    onFailure,
  });
  const foreign = new Map(
    (upstreams.areForeign ? neighbours : []).map((neighbour) => [
      neighbour.service.typeName,
      createForeignCalls(neighbour, options.routerOptions.readMaxBytes, onFailure),
    ]),
  );
  return {
    carries({ parent: { typeName } }, isRest) {
      return forwarder.upstreams[typeName] !== undefined && !(isRest && foreign.has(typeName));
    },
    async call(method, exchange) {
      const arrivedAt = performance.now();
      const { headers } = exchange;
      const upstream = forwarder.upstreams[method.parent.typeName];
      try {
        if (upstream === undefined) throw new Error(`nothing says where ${method.parent.typeName} is`);
        await options.authorize(method, new NodeHeaders(headers));
      } catch (error) {
        exchange.refuse(toConnectError(error, method.parent.file.proto.package));
        return;
      }
      const foreigner = foreign.get(method.parent.typeName);
      const domain = foreigner === undefined ? method.parent.file.proto.package : undefined;
      const held = options.holdBytes(headers, exchange.connection, domain);
      if (foreigner !== undefined && !(await foreigner.understands(exchange))) {
        const { request, response } = exchange.asNode();
        tellForwarded(request);
        await foreigner.answer(method, request, response, held);
        return;
      }
      const isUnary = method.methodKind === "unary";
      await forwarder.forward(exchange, upstream, {
        isUnary,
        held,
        ...(isUnary && { waitLimits: waitLimitsFor(performance.now() - arrivedAt) }),
        toldOf(failure) {
          if (domain !== undefined) return toConnectError(noAnswers[failure](method), domain);
          // Reasons are the platform's: those of other services are their own.
          const message = failure === "unreachable" ? unreachableMessage : unansweredMessage(method);
          return new ConnectError(message, Code.Unavailable);
        },
        ...(credentialFor && {
          setRequestHeaders: {
            [clientAddressHeader]: String(headers[clientAddressHeader]),
            [forwardingCredentialHeader]: credentialFor(names.get(method.parent.typeName)!),
          },
        }),
        ...(!isUnary && { stop: options.stopping }),
        ...(foreigner && { maxMessageBytes: options.routerOptions.readMaxBytes }),
      });

      function waitLimitsFor(spentMs: number): WaitLimits {
        const callerMs = callerTimeoutMs(headers);
        return {
          callerMs: callerMs === undefined ? undefined : callerMs - spentMs,
          // How long a service of others may take is not known here.
          mostMs: foreigner === undefined ? forwardingTimeoutMs(method) - spentMs : undefined,
        };
      }
    },
    async invoke(method, call) {
      await options.authorize(method, call.header);
      const foreigner = foreign.get(method.parent.typeName);
      if (foreigner === undefined) throw new Error(`${method.parent.typeName} speaks REST itself`);
      return await foreigner.invoke(method, call);
    },
    addForwardedHeaders: tellForwarded,
    close() {
      forwarder.close();
      for (const calls of foreign.values()) calls.close();
    },
  };
}
