import type { Clock, Job, Lease, Logger } from "@shop/core";
import type { Db } from "mongodb";
import type { Bus } from "./bus.ts";

/** The stream that a module's events were in when they were last known to be complete. */
interface StreamEpochDocument {
  /** The name of the stream. */
  readonly _id: string;
  /** The creation time that JetStream reports: with another time it is another stream, without the earlier events. */
  readonly created: string;
  readonly recover_time: Date;
}

const intervalMs = 500;

/** Republishes events that were lost with a stream. */
export interface StreamRecovery {
  readonly job: Job;
  /** The reason to be not ready while lost events have not been recovered; else undefined. */
  notReady(): Promise<string | undefined>;
}

/**
 * Events that a stream has stored are no longer in any outbox. If the stream is not the one that the database remembers (also
 * after a restart of everything), `recover` publishes again what consumers may have missed: it derives that from the database,
 * and is idempotent. It also runs every `everyMs` milliseconds, for losses that leave the stream's identity unchanged, such as
 * a purge.
 */
export function createStreamRecovery(on: {
  readonly stream: string;
  readonly db: Db;
  readonly bus: Pick<Bus, "topology">;
  readonly lease: Lease;
  readonly everyMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  recover(signal: AbortSignal): Promise<void>;
}): StreamRecovery {
  const { stream, bus, lease, everyMs, clock, log } = on;
  const epochs = on.db.collection<StreamEpochDocument>("stream_epochs");
  let recoveredCreated: string | undefined;
  let nextDueAt = 0;

  async function run(signal: AbortSignal): Promise<void> {
    const created = bus.topology.createdAt(stream);
    if (created === undefined || (created === recoveredCreated && clock().getTime() < nextDueAt)) return;
    const known = await epochs.findOne({ _id: stream });
    const isKnown = known?.created === created;
    if (!isKnown || known.recover_time.getTime() + everyMs <= clock().getTime()) {
      if (known !== null && !isKnown) log.warn({ stream, created }, "a stream was lost, recovering its events");
      await on.recover(signal);
      // The stream was replaced during the recovery: repeat it.
      if (signal.aborted || bus.topology.createdAt(stream) !== created) return;
      await epochs.updateOne({ _id: stream }, { $set: { created, recover_time: clock() } }, { upsert: true });
      if (!isKnown) log.info({ stream, created }, "lost events of the stream were recovered");
    }
    recoveredCreated = created;
    nextDueAt = clock().getTime() + everyMs;
  }

  return {
    job: { name: `recover-stream-${stream}`, intervalMs, lease, run },
    async notReady() {
      const created = bus.topology.createdAt(stream);
      if (created === undefined || created === recoveredCreated) return undefined;
      const known = await epochs.findOne({ _id: stream });
      // Another process recovered it.
      if (known?.created === created) recoveredCreated = created;
      return created === recoveredCreated
        ? undefined
        : `events that were lost with stream ${stream} are not recovered yet`;
    },
  };
}
