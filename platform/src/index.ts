export {
  clientAddressHeader,
  clientAddressOf,
  internalCredentialHeader,
  networkOf,
  networksPerSite,
  sharersOf,
} from "@shop/http-port";
export { createRestRoutes as checkRestRoutes, cutText, madeOnce, repeatedKey, unchanging } from "@shop/rest";
export type { Audit, AuditPart, Finding, FindingTarget } from "./audit/audit.ts";
export { auditJob } from "./audit/audit-job.ts";
export { auditGauges, createAuditReports } from "./audit/audit-reports.ts";
export { answerAudit, type Remedy, repairFindings } from "./audit/audit-rpc.ts";
export { accessTokenSeconds, type SigningKey, signAccessToken, signStreamTicket } from "./auth/access-tokens.ts";
export { revocationStream, revocationsKeptMs } from "./auth/follow-revocations.ts";
export { actorOf, isAdmin, type Principal } from "./auth/principal.ts";
export {
  type CredentialPurpose,
  createServiceCredentials,
  type ServiceCredentials,
} from "./auth/service-credentials.ts";
export {
  generateServiceKey,
  type PrivateServiceJwk,
  type PublicServiceJwk,
  publicHalf,
  readServiceKeys,
} from "./auth/service-keys.ts";
export { eventHandler } from "./bus/consumer.ts";
export { natsServers } from "./bus/nats-servers.ts";
export { createStreamRecovery } from "./bus/stream-recovery.ts";
export type { Cache, CachedRead } from "./cache/cache.ts";
export type { Clock } from "./clock.ts";
export { ConfigError, isBaseUrl, readConfig, setting } from "./config.ts";
export { minorUnitDigits } from "./currencies.ts";
export { isDependencyLost } from "./dependency-lost.ts";
export { DomainError, type FieldViolation, invalidFields } from "./errors.ts";
export { gather } from "./gather.ts";
export { firstIdAt, newId, newSecret } from "./ids.ts";
export type { Job } from "./job.ts";
export { FairShares } from "./limits/fair-shares.ts";
export type { Limits } from "./limits/limits.ts";
export { tellRateLimit } from "./limits/rate-limit-headers.ts";
export { createLogger, type Logger } from "./log.ts";
export { outboxGauges } from "./metrics/outbox-gauges.ts";
export { formatMoney, type Money, sum, times } from "./money.ts";
export { type Changes, createChanges } from "./mongo/changes.ts";
export { isDuplicateKey } from "./mongo/duplicate-key.ts";
export { createGroupCommit } from "./mongo/group-commit.ts";
export { oneAtATime } from "./one-at-a-time.ts";
export { openOutbox } from "./outbox/open-outbox.ts";
export type { Outbox } from "./outbox/outbox.ts";
export { batched, eventIdOf, type PendingEvent, pendingEvent, type WithOutbox } from "./outbox/pending-event.ts";
export type { OutboxLag, OutboxUpkeep, StuckDocument } from "./outbox/upkeep.ts";
export { createPageTokens, cutPage, defaultPageSize, type PageTokens } from "./paging.ts";
export { platformConfig } from "./platform-config.ts";
export { createMessageCheck, requestValidator } from "./request-validator.ts";
export { retryOnConflict } from "./retry-on-conflict.ts";
export { callerOf, isPublicRead, userIdOf } from "./rpc/access.ts";
export { atHand, createFindAtHand } from "./rpc/at-hand.ts";
export { barePort } from "./rpc/bare-port.ts";
export { deadLetterService } from "./rpc/dead-letter-service.ts";
export { forwardTo } from "./rpc/remote-calls.ts";
export { requestIdReused, requestUnsettled, storedRequestIds } from "./rpc/request-id.ts";
export { createRouterOptions } from "./rpc/router-options.ts";
export { listen, type RpcServer, type ServerOptions } from "./rpc/server.ts";
export { sizesOf } from "./rpc/size-rules.ts";
export { createWatches, type WatchFor } from "./rpc/watches.ts";
export { run, runProcess } from "./run.ts";
export { defineModule, type ModuleContext } from "./service-module.ts";
export { currentTraceId } from "./trace.ts";
