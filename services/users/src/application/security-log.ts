import { type Clock, type Logger, newId } from "@shop/core";
import type { SecurityEventStore } from "../adapters/mongo/security-event-store.ts";
import type { SecurityEvent, SecurityEventKind } from "../domain/security-event.ts";

/** What happened, and to whom; who did it is the user unless it says otherwise. */
type Happened = Pick<SecurityEvent, "kind" | "userId"> & Partial<Pick<SecurityEvent, "actor" | "sessionId" | "detail">>;

/** The record of what matters for the security of accounts. */
export interface SecurityLog {
  /**
   * Writes it to the log of the process, then to the database, for administrators to read. What happened has happened: so it
   * never rejects, and if the database can't take it the line in the log is what is left.
   */
  record(happened: Happened): Promise<void>;
}

const alarming: ReadonlySet<SecurityEventKind> = new Set([
  "refresh_token_reused",
  "roles_set",
  "disabled",
  "password_reset",
]);

/** Events are kept in the database for `keptMs`. */
export function createSecurityLog(on: {
  readonly events: SecurityEventStore;
  readonly keptMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}): SecurityLog {
  return {
    async record({ kind, userId, actor = userId || "anonymous", sessionId = "", detail = "" }) {
      const line = { security_event: kind, user: userId, actor, session: sessionId, detail };
      on.log[alarming.has(kind) ? "warn" : "info"](line, "security event");
      const time = on.clock();
      try {
        const event = { eventId: newId("event"), kind, userId, actor, sessionId, detail, time };
        await on.events.insert(event, new Date(time.getTime() + on.keptMs));
      } catch (error) {
        on.log.error({ ...line, err: error }, "a security event is in this log only");
      }
    },
  };
}
