export { SpanKind, type SpanOptions, SpanStatusCode } from "@opentelemetry/api";
export { createBatchedRead } from "./batched-read.ts";
export { createBatcher } from "./batcher.ts";
export { type Clock, systemClock } from "./clock.ts";
export { ConfigError, type ConfigSchema, isBaseUrl, readConfig, setting } from "./config.ts";
export { DomainError, type ErrorKind, type FieldViolation, invalidFields } from "./errors.ts";
export { exponentialBackoff } from "./exponential-backoff.ts";
export { FairShares } from "./fair-shares.ts";
export type { GaugeDefinition, GaugeSource, HistogramDefinition, Reading } from "./gauges.ts";
export { firstIdAt, newId, newSecret } from "./ids.ts";
export type { Job, Lease } from "./job.ts";
export { createLogger, type Logger } from "./log.ts";
export { oneAtATime } from "./one-at-a-time.ts";
export { createPageTokens, cutPage, defaultPageSize, type PageTokens } from "./paging.ts";
export { rateLimitedLog } from "./rate-limited-log.ts";
export { RestartDelay } from "./restart-delay.ts";
export { retryOnConflict } from "./retry-on-conflict.ts";
export {
  callerTraceparentHeader,
  currentTrace,
  currentTraceId,
  inJointTrace,
  inNewTrace,
  inSpan,
  inTrace,
  inTraceOf,
  linkTo,
  receiveTrace,
  recordedTraceOf,
  recordsTraces,
  recordTraces,
  startServerSpan,
  startSpan,
  Trace,
  type TraceFields,
  traceAbout,
  traceOf,
  traceparentHeader,
  tracestateHeader,
} from "./trace.ts";
