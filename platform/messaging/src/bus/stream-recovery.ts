import type { Clock, Job, Lease, Logger } from "@shop/core";
import type { Db } from "mongodb";
import type { Bus } from "./bus.ts";

/** Which stream the events of a module went to when it was last known that none was lost. */
interface StreamEpochDocument {
  /** The stream. */
  readonly _id: string;
  /** When the stream was created, as JetStream says: another time is another stream, without what the last one carried. */
  readonly created: string;
  readonly recover_time: Date;
}

const intervalMs = 500;

/** Makes good what was lost together with a stream. */
export interface StreamRecovery {
  readonly job: Job;
  /** Says so while events that were lost with the stream are not made good. */
  notReady(): Promise<string | undefined>;
}

/**
 * Events that a stream had taken are in no outbox any more. When the stream is another one than the database remembers, which a
 * restart of everything finds as well, `recover` publishes again what its consumers may not have heard: it derives that from
 * the database, and is idempotent. It also runs every `everyMs`, for losses that no stream's identity shows, such as a purge.
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
      if (known !== null && !isKnown) log.warn({ stream, created }, "a stream was lost, recovering what it carried");
      await on.recover(signal);
      // What was published went to another stream yet: once more.
      if (signal.aborted || bus.topology.createdAt(stream) !== created) return;
      await epochs.updateOne({ _id: stream }, { $set: { created, recover_time: clock() } }, { upsert: true });
      if (!isKnown) log.info({ stream, created }, "what the stream may have lost was recovered");
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
      // Another process did it.
      if (known?.created === created) recoveredCreated = created;
      return created === recoveredCreated
        ? undefined
        : `events that were lost with stream ${stream} are not recovered yet`;
    },
  };
}
