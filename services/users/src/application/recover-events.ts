import type { Clock } from "@shop/core";
import type { Outbox, PendingEvent } from "@shop/messaging";
import { revocationsKeptMs } from "@shop/runtime";
import type { SessionStore } from "../adapters/mongo/session-store.ts";
import type { UserStore } from "../adapters/mongo/user-store.ts";
import { sessionEndedEvent, userDeletedEvent } from "../adapters/proto/events.ts";
import { deletionEventDelayMs } from "../domain/user.ts";

/** As long as the stream keeps an event: a consumer that was away for longer had lost it anyway. */
const deletionsKeptMs = 7 * 24 * 60 * 60 * 1000;
const eventsAtOnce = 256;

interface On {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly publish: Outbox["publishNow"];
  readonly clock: Clock;
}

/** Publishes again what access was revoked of which tokens may still be valid. Idempotent, under the ids of the first time. */
export async function recoverRevocations(on: On, signal: AbortSignal): Promise<void> {
  const since = new Date(on.clock().getTime() - revocationsKeptMs);
  await publishAll(on, on.users.revokedSince(since), signal);
  await publishAll(on, endings(on.sessions.endedSince(since)), signal);
}

/** Publishes again which accounts were deleted. Idempotent, under the ids of the first time. */
export async function recoverDeletions(on: On, signal: AbortSignal): Promise<void> {
  const now = on.clock().getTime();
  const deleted = on.users.deletedSince(new Date(now - deletionsKeptMs), new Date(now - deletionEventDelayMs));
  await publishAll(on, deletions(deleted), signal);
}

async function* deletions(accounts: ReturnType<UserStore["deletedSince"]>): AsyncGenerator<PendingEvent> {
  for await (const { userId, version, deleteTime } of accounts) {
    // Of the version that was deleted.
    yield userDeletedEvent({ userId, version: version - 1 }, deleteTime);
  }
}

async function* endings(sessions: ReturnType<SessionStore["endedSince"]>): AsyncGenerator<PendingEvent> {
  for await (const { endTime, ...session } of sessions) yield sessionEndedEvent(session, endTime);
}

async function publishAll({ publish }: On, events: AsyncIterable<PendingEvent>, signal: AbortSignal): Promise<void> {
  let some: PendingEvent[] = [];
  for await (const event of events) {
    signal.throwIfAborted();
    some.push(event);
    if (some.length < eventsAtOnce) continue;
    await publish(some);
    some = [];
  }
  await publish(some);
}
