import type { Clock } from "@shop/core";
import type { Outbox, PendingEvent } from "@shop/messaging";
import { revocationsRetentionMs } from "@shop/runtime";
import { sessionEndedEvent, userDeletedEvent } from "../adapters/proto/events.ts";
import { deletionEventDelayMs } from "../domain/user.ts";
import type { SessionStore } from "./ports/session-store.ts";
import type { UserStore } from "./ports/user-store.ts";

/** The stream's retention: an older event would have been lost without the loss of the stream, too. */
const deletionsKeptMs = 7 * 24 * 60 * 60 * 1000;
const batchSize = 256;

interface On {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly publish: Outbox["publishNow"];
  readonly clock: Clock;
}

/** Publishes again the revocations of access tokens that may not have expired yet. Idempotent: the events keep their ids. */
export async function recoverRevocations(on: On, signal: AbortSignal): Promise<void> {
  const since = new Date(on.clock().getTime() - revocationsRetentionMs);
  await publishAll(on, on.users.revokedSince(since), signal);
  await publishAll(on, endings(on.sessions.endedSince(since)), signal);
}

/** Publishes again the deletions of accounts within the stream's retention. Idempotent: the events keep their ids. */
export async function recoverDeletions(on: On, signal: AbortSignal): Promise<void> {
  const now = on.clock().getTime();
  const deleted = on.users.deletedSince(new Date(now - deletionsKeptMs), new Date(now - deletionEventDelayMs));
  await publishAll(on, deletions(deleted), signal);
}

async function* deletions(accounts: ReturnType<UserStore["deletedSince"]>): AsyncGenerator<PendingEvent> {
  for await (const { userId, version, deleteTime } of accounts) {
    // The event's id has the version before the deletion.
    yield userDeletedEvent({ userId, version: version - 1 }, deleteTime);
  }
}

async function* endings(sessions: ReturnType<SessionStore["endedSince"]>): AsyncGenerator<PendingEvent> {
  for await (const { endTime, ...session } of sessions) yield sessionEndedEvent(session, endTime);
}

async function publishAll({ publish }: On, events: AsyncIterable<PendingEvent>, signal: AbortSignal): Promise<void> {
  let batch: PendingEvent[] = [];
  for await (const event of events) {
    signal.throwIfAborted();
    batch.push(event);
    if (batch.length < batchSize) continue;
    await publish(batch);
    batch = [];
  }
  await publish(batch);
}
