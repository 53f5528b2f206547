export { type Exchange, nodeExchange, streamExchange } from "./exchange.ts";
export { type CachedAnswers, cachedAnswers, createFindCachedAnswer } from "./fast-path/cached-answers.ts";
export { isUsualUnary } from "./fast-path/mux-calls.ts";
export type { Forwarding, ForwardingPort, OpenForwarding } from "./forwarding.ts";
export { createInMemoryTransport } from "./in-memory.ts";
export { listenFailure } from "./listen-failure.ts";
export { reportNetworkErrors } from "./network-errors.ts";
export { type Authorize, authorizedCaller, rememberCaller } from "./pipeline/authorize.ts";
export { BufferedBytes } from "./pipeline/buffered-bytes.ts";
export { checkMessages } from "./pipeline/checked-messages.ts";
export { callerTimeoutMs, forwardingTimeoutMs, isRead, unansweredMessage } from "./pipeline/deadlines.ts";
export { dependencyLost, errorsInterceptor, isUnavailable, toConnectError } from "./pipeline/errors.ts";
export { measuringInterceptor } from "./pipeline/measuring.ts";
export { forwardedMessageChecks } from "./pipeline/message-checks.ts";
export { watchMessageSizes } from "./pipeline/message-sizes.ts";
export {
  idempotencyKeyPattern,
  requestIdField,
  requestIdReused,
  requestUnsettled,
  storedRequestIds,
} from "./pipeline/request-id.ts";
export { textViolations } from "./pipeline/request-text.ts";
export { createMessageCheck, createRequestValidator } from "./pipeline/request-validator.ts";
export { createRouterOptions, type RouterOptions } from "./pipeline/router-options.ts";
export { ticketIn } from "./pipeline/stream-tickets.ts";
export { type CallerTraces, codeOf, endClientSpan, setOutcome, startClientSpan } from "./pipeline/tracing.ts";
export { whenEnded } from "./pipeline/when-ended.ts";
export type { PortMetrics } from "./port-metrics.ts";
export { portRefusals } from "./port-refusals.ts";
export { createRpc, type Rpc, type RpcOptions } from "./rpc.ts";
export { listen, type RpcServer } from "./server.ts";
