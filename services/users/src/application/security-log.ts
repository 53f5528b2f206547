import { type Clock, type Logger, newId } from "@shop/core";
import type { SecurityEvent, SecurityEventKind } from "../domain/security-event.ts";
import type { SecurityEventStore } from "./ports/security-event-store.ts";

/** `actor` defaults to the user, or to "anonymous" without one. */
type NewSecurityEvent = Pick<SecurityEvent, "kind" | "userId"> &
  Partial<Pick<SecurityEvent, "actor" | "sessionId" | "detail">>;

export interface SecurityLog {
  /**
   * Writes an event to the process's log, then to the database, for ListSecurityEvents. Never rejects, because the recorded action can't
   * be undone; if the database fails, only the log has the event.
   */
  record(event: NewSecurityEvent): Promise<void>;
}

const loggedAsWarnings: ReadonlySet<SecurityEventKind> = new Set([
  "refresh_token_reused",
  "roles_set",
  "disabled",
  "password_reset",
]);

/** @param on `keptMs` is the retention in the database */
export function createSecurityLog(on: {
  readonly events: SecurityEventStore;
  readonly keptMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}): SecurityLog {
  return {
    async record({ kind, userId, actor = userId || "anonymous", sessionId = "", detail = "" }) {
      const line = { security_event: kind, user: userId, actor, session: sessionId, detail };
      on.log[loggedAsWarnings.has(kind) ? "warn" : "info"](line, "security event");
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
