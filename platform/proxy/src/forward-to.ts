import type { DescMethod } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { currentTrace, DomainError, traceparentHeader } from "@shop/core";
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
  type Exchange,
  endClientSpan,
  type Forwarding,
  type ForwardingPort,
  forwardingTimeoutMs,
  isUsualUnary,
  type OpenForwarding,
  reportNetworkErrors,
  setOutcome,
  startClientSpan,
  toConnectError,
  unansweredMessage,
} from "@shop/rpc-server";
import type { AnswerCode } from "./answer-code.ts";
import type { UpstreamService } from "./clients.ts";
import { createForwarder, type ForwardFailure, type NoAnswer, unreachableMessage, type WaitLimits } from "./forward.ts";
import { setForwardedHeaders } from "./request-head.ts";
import { createVendorCalls } from "./vendor-calls.ts";

/** The upstreams of forwarded calls. */
export interface ForwardOptions {
  readonly upstreams: readonly UpstreamService[];
  /**
   * Whether they are services of other vendors, which do not speak REST, and perhaps only gRPC. A call in a protocol that they
   * do not understand is decoded here, and a new call is made. False by default.
   */
  readonly areOfOtherVendors?: boolean;
  /**
   * Issues the credential for a module under which forwarded requests report the client address. Absent if upstreams are not
   * part of the platform: they can read X-Forwarded-For.
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
export function forwardTo(to: ForwardOptions): OpenForwarding {
  return (port) => createForwarding(to, port);
}

function createForwarding(to: ForwardOptions, port: ForwardingPort): Forwarding {
  const { credentialFor } = to;
  const exposed = new Set(port.services.map((service) => service.typeName));
  const upstreams = to.upstreams.filter(({ service }) => exposed.has(service.typeName));
  const names = new Map(upstreams.map(({ service, name }) => [service.typeName, name]));
  const onFailure = ({ replica, error }: ForwardFailure) =>
    port.log.warn({ replica, err: error }, "a replica did not answer");
  const forwarder = createForwarder({
    guard: createListenerGuard(reportNetworkErrors(port)),
    upstreams: Object.fromEntries(upstreams.map(({ service, urls }) => [service.typeName, urls])),
    // Clients must not impersonate services of the platform.
    dropRequestHeaders: [internalCredentialHeader, clientAddressHeader, forwardingCredentialHeader],
    onFailure,
  });
  const vendors = new Map(
    (to.areOfOtherVendors ? upstreams : []).map((upstream) => [
      upstream.service.typeName,
      createVendorCalls(upstream, port.routerOptions.readMaxBytes, onFailure),
    ]),
  );
  return {
    carries({ parent: { typeName } }, isRest) {
      return forwarder.upstreams[typeName] !== undefined && !(isRest && vendors.has(typeName));
    },
    async call(method, exchange) {
      const arrivedAt = performance.now();
      const { headers } = exchange;
      const upstream = forwarder.upstreams[method.parent.typeName];
      try {
        if (upstream === undefined) throw new Error(`no upstream is configured for ${method.parent.typeName}`);
        await port.authorize(method, new NodeHeaders(headers));
      } catch (error) {
        const refusal = toConnectError(error, method.parent.file.proto.package);
        exchange.refuse(refusal);
        count(codeToString(refusal.code));
        return;
      }
      const vendorCalls = vendors.get(method.parent.typeName);
      const domain = vendorCalls === undefined ? method.parent.file.proto.package : undefined;
      const held = port.holdBytes(headers, exchange.connection, domain);
      if (vendorCalls !== undefined && !(await vendorCalls.understands(exchange))) {
        const { request, response } = exchange.asNode();
        setForwardedHeaders(request);
        await vendorCalls.answer(method, request, response, held);
        return;
      }
      const isUnary = method.methodKind === "unary";
      const span = startClientSpan(method);
      const code = await forwarder.forward(exchange, upstream, {
        isUnary,
        mayMultiplex: isUnary && vendorCalls === undefined && isMultiplexed(method, exchange),
        held,
        ...(isUnary && { waitLimits: waitLimitsFor(performance.now() - arrivedAt) }),
        errorOf(failure) {
          if (domain !== undefined) return toConnectError(noAnswers[failure](method), domain);
          // Error reasons belong to the platform; services of other vendors have their own.
          const message = failure === "unreachable" ? unreachableMessage : unansweredMessage(method);
          return new ConnectError(message, Code.Unavailable);
        },
        setRequestHeaders: {
          ...(span && { [traceparentHeader]: span.traceparent }),
          ...(credentialFor && {
            [clientAddressHeader]: String(headers[clientAddressHeader]),
            [forwardingCredentialHeader]: credentialFor(names.get(method.parent.typeName)!),
          }),
        },
        ...(!isUnary && { stop: port.stopping }),
        ...(vendorCalls && { maxMessageBytes: port.routerOptions.readMaxBytes }),
      });
      count(code);
      if (span !== undefined) endClientSpan(span, code);
      setOutcome(currentTrace(), code);

      function count(code: AnswerCode): void {
        if (method.methodKind !== "unary") return;
        const seconds = (performance.now() - arrivedAt) / 1000;
        port.metrics?.called(`${method.parent.typeName}/${method.name}`, code, seconds);
      }
      function waitLimitsFor(spentMs: number): WaitLimits {
        const callerMs = callerTimeoutMs(headers);
        return {
          callerMs: callerMs === undefined ? undefined : callerMs - spentMs,
          // The duration limit of other vendors' services is unknown.
          mostMs: vendorCalls === undefined ? forwardingTimeoutMs(method) - spentMs : undefined,
        };
      }
    },
    async invoke(method, call) {
      await port.authorize(method, call.header);
      const vendorCalls = vendors.get(method.parent.typeName);
      if (vendorCalls === undefined) throw new Error(`${method.parent.typeName} speaks REST itself`);
      return await vendorCalls.invoke(method, call);
    },
    addForwardedHeaders: setForwardedHeaders,
    close() {
      forwarder.close();
      for (const calls of vendors.values()) calls.close();
    },
  };
}

/** Whether upstreams take this call on a multiplexed connection: REST, and the usual form of unary Connect and gRPC calls. */
function isMultiplexed({ parent, name }: DescMethod, { method, path, headers }: Exchange): boolean {
  if (!path.startsWith(`/${parent.typeName}/${name}`)) return true;
  return method === "POST" && isUsualUnary(headers);
}
