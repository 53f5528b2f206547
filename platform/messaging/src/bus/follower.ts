import { setTimeout as delay } from "node:timers/promises";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { AckPolicy, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import type { Logger } from "@shop/core";
import type { Bus } from "./bus.ts";
import { eventsOf } from "./event-batch.ts";

const prefetchedMessages = 256;
/** After two missed heartbeats the client checks whether the consumer still exists. */
const heartbeatMs = 1_000;
const requestMs = 5_000;
const retryMs = 250;
/** The server deletes the consumer of a dead process after this time. */
const inactiveMs = 30_000;

export interface Follower {
  /** Whether it has seen every event; false from an interruption until it has caught up. */
  isFollowing(): boolean;
  stop(): Promise<void>;
}

/**
 * Reads every event of a stream in every process, from the first one on: for state that a process keeps in memory. Resolves
 * once it has read all existing events. After an interruption it reads from the first event again, so `onEvent` must tolerate
 * repetition and any order.
 */
export async function startFollower<Schema extends DescMessage>(
  bus: Bus,
  stream: string,
  event: Schema,
  log: Logger,
  onEvent: (event: MessageShape<Schema>) => void,
): Promise<Follower> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const caughtUp = Promise.withResolvers<void>();
  let isFollowing = false;

  function catchUp(): void {
    isFollowing = true;
    caughtUp.resolve();
  }

  function readAll(message: JsMsg): void {
    try {
      for (const { payload } of eventsOf(message)) onEvent(fromBinary(event, payload));
    } catch (error) {
      log.error({ err: error, stream, sequence: message.seq }, "an event can't be read");
    }
  }

  async function followOnce(): Promise<void> {
    const { name, num_pending } = await bus.manager.consumers.add(stream, {
      filter_subject: event.typeName,
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: nanos(inactiveMs),
      mem_storage: true,
      num_replicas: 1,
    });
    if (num_pending === 0) catchUp();
    const interrupted = Promise.withResolvers<void>();
    const end = () => interrupted.resolve();
    signal.addEventListener("abort", end);
    // Events in transit when the connection broke are not sent again.
    const unsubscribe = bus.onReconnect(end);
    let delivered = 0;
    const consumer = await bus.jetstream.consumers.get(stream, name);
    const messages = await consumer.consume({
      max_messages: prefetchedMessages,
      idle_heartbeat: heartbeatMs,
      expires: requestMs,
      abort_on_missing_resource: true,
      callback(message) {
        if (message.info.deliverySequence !== ++delivered) return end();
        readAll(message);
        if (message.info.pending === 0) catchUp();
      },
    });
    await Promise.race([interrupted.promise, messages.closed()]);
    signal.removeEventListener("abort", end);
    unsubscribe();
    await messages.close();
    if (signal.aborted) await consumer.delete().catch(() => {});
  }

  const followed = (async () => {
    while (!signal.aborted) {
      try {
        await followOnce();
        isFollowing = false;
      } catch (error) {
        isFollowing = false;
        log.warn({ err: error, stream }, "a stream can't be followed, trying again");
      }
      await delay(retryMs, undefined, { signal }).catch(() => {});
    }
  })();
  await caughtUp.promise;
  return {
    isFollowing: () => isFollowing,
    async stop() {
      stopping.abort();
      await followed;
    },
  };
}
