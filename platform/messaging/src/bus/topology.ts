import { type ConsumerConfig, DeliverPolicy, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream";
import { apiErrorCode } from "./bus-errors.ts";

/** JetStream's error numbers. */
const streamNotFound = 10059;
const consumerNotFound = 10014;
/** "stream name already in use with a different configuration": created by an older version, or concurrently. */
const streamDiffers = 10058;
/** A durable consumer of that name exists with other settings. */
const consumerDiffers = [10012, 10013, 10105, 10148];

type StreamSettings = Partial<StreamConfig>;
/** A stream that this process needs. */
interface NeededStream {
  readonly settings: StreamSettings;
  /** Only the owner changes a stream's settings. */
  readonly isOwn: boolean;
}
type ConsumerSettings = Partial<ConsumerConfig> & { readonly durable_name: string };

/** A durable consumer that this process needs, and its progress when it was last seen. */
interface NeededConsumer {
  readonly stream: string;
  readonly settings: ConsumerSettings;
  /** Everything up to `sequence` was acknowledged, in the stream with this creation time. */
  acknowledged?: { readonly sequence: number; readonly created: string };
}

/**
 * The streams and durable consumers that this process needs. They can disappear while it runs: an operator deletes them, or the
 * server restarts with an empty store. All operations are idempotent, since every process that needs them performs them.
 */
export interface Topology {
  /** Creates the stream if it is missing, or updates its settings if this process owns it; from then on it is needed. */
  ensureStream(name: string, settings: StreamSettings, isOwn: boolean): Promise<void>;
  /** The same for a durable consumer, whose stream must exist. */
  ensureConsumer(stream: string, settings: ConsumerSettings): Promise<void>;
  /** What is missing now, or was at the last `restore`, in words. If the server can't be asked, nothing is missing. */
  missing(): Promise<readonly string[]>;
  /** Recreates what is missing, and returns descriptions of it. Rejects if it can't. */
  restore(): Promise<readonly string[]>;
  /** The creation time of the stream, which identifies it. Undefined while unknown. */
  createdAt(stream: string): string | undefined;
}

export function createTopology(manager: Pick<JetStreamManager, "streams" | "consumers">): Topology {
  const streams = new Map<string, NeededStream>();
  const consumers = new Map<string, NeededConsumer>();
  const created = new Map<string, string>();
  let foundMissing: readonly string[] = [];
  let checking: Promise<Gaps> | undefined;

  async function addStream(name: string, { settings, isOwn }: NeededStream): Promise<void> {
    try {
      created.set(name, (await manager.streams.add({ ...settings, name })).created);
    } catch (error) {
      if (apiErrorCode(error) !== streamDiffers) throw error;
      const info = await (isOwn ? manager.streams.update(name, settings) : manager.streams.info(name));
      created.set(name, info.created);
    }
  }

  /**
   * Where a consumer starts: after its last acknowledged event, since to deliver a week of them again would delay new ones; in
   * another stream, which numbers its events from 1 again, at the first.
   */
  async function startOf({ stream, acknowledged }: NeededConsumer): Promise<Partial<ConsumerConfig>> {
    if (acknowledged !== undefined) {
      // Not from `created`: a check in which the stream's answer was lost still knows the stream before.
      const info = await manager.streams.info(stream);
      if (info.created === acknowledged.created)
        return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: acknowledged.sequence + 1 };
    }
    return { deliver_policy: DeliverPolicy.All };
  }

  async function addConsumer(consumer: NeededConsumer): Promise<void> {
    const { stream, settings } = consumer;
    const start = await startOf(consumer);
    try {
      await manager.consumers.add(stream, { ...settings, ...start });
    } catch (error) {
      if (!consumerDiffers.includes(apiErrorCode(error) ?? 0)) throw error;
      // The start position and the ack policy can't be changed.
      const { durable_name, ack_policy: _, ...changeable } = settings;
      await manager.consumers.update(stream, durable_name, changeable);
    }
  }

  async function check(): Promise<Gaps> {
    const gaps: Gaps = { streams: [], consumers: [] };
    await Promise.all(
      [...streams.keys()].map(async (name) => {
        const info = await answerOf(manager.streams.info(name), streamNotFound);
        if (info === "missing") gaps.streams.push(name);
        else if (info !== "unknown") created.set(name, info.created);
      }),
    );
    await Promise.all(
      [...consumers.values()].map(async (consumer) => {
        const { stream, settings } = consumer;
        if (gaps.streams.includes(stream)) return;
        const info = await answerOf(manager.consumers.info(stream, settings.durable_name), consumerNotFound);
        if (info === "missing") gaps.consumers.push(consumer);
        else if (info !== "unknown") {
          consumer.acknowledged = { sequence: info.ack_floor.stream_seq, created: created.get(stream) ?? "" };
        }
      }),
    );
    return gaps;
  }

  /** Concurrent callers share one check. */
  function checkOnce(): Promise<Gaps> {
    checking ??= check().finally(() => {
      checking = undefined;
    });
    return checking;
  }

  return {
    async ensureStream(name, settings, isOwn) {
      await addStream(name, { settings, isOwn });
      streams.set(name, { settings, isOwn });
    },
    async ensureConsumer(stream, settings) {
      const consumer = consumers.get(settings.durable_name) ?? { stream, settings };
      await addConsumer(consumer);
      consumers.set(settings.durable_name, consumer);
    },
    async missing() {
      return [...new Set([...foundMissing, ...describe(await checkOnce())])];
    },
    async restore() {
      const gaps = await checkOnce();
      foundMissing = describe(gaps);
      for (const name of gaps.streams) await addStream(name, streams.get(name)!);
      const lostToo = [...consumers.values()].filter(({ stream }) => gaps.streams.includes(stream));
      for (const consumer of [...gaps.consumers, ...lostToo]) await addConsumer(consumer);
      return foundMissing;
    },
    createdAt: (stream) => created.get(stream),
  };
}

interface Gaps {
  readonly streams: string[];
  readonly consumers: NeededConsumer[];
}

function describe(gaps: Gaps): string[] {
  return [
    ...gaps.streams.map((name) => `stream ${name} is missing`),
    ...gaps.consumers.map(({ settings }) => `consumer ${settings.durable_name} is missing`),
  ];
}

/** A server that can't answer, as in an election, has not reported anything missing. */
async function answerOf<Info>(asked: Promise<Info>, missingCode: number): Promise<Info | "missing" | "unknown"> {
  try {
    return await asked;
  } catch (error) {
    return apiErrorCode(error) === missingCode ? "missing" : "unknown";
  }
}
