import type { SecurityEvent } from "../../domain/security-event.ts";

export interface SecurityEventFilter {
  readonly userId: string | undefined;
  /** An event id: only events after it in the listing. */
  readonly after: string | undefined;
}

export interface SecurityEventStore {
  insert(event: SecurityEvent, expireTime: Date): Promise<void>;
  /** Newest first. */
  list(filter: SecurityEventFilter, limit: number): Promise<SecurityEvent[]>;
}
