import { setTimeout as delay } from "node:timers/promises";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { AckPolicy, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import {
  exponentialBackoff,
  inJointTrace,
  inSpan,
  inTrace,
  type Lease,
  type Logger,
  linkTo,
  recordedTraceOf,
  traceOf,
} from "@shop/core";
import { isDependencyLost } from "../dependency-lost.ts";
import type { Bus } from "./bus.ts";
import { isRedrivenForAnother, sendToDeadLetters } from "./dead-letters.ts";
import { aggregateIdOf, asOneEvent, type Event, eventsOf } from "./event-batch.ts";
import { processSpan } from "./spans.ts";

/** The most unacknowledged messages over all replicas: bounds the memory of a slow consumer. */
const maxAckPending = 2_048;
/** Messages requested at once; a message holds up to 256 events. */
const prefetchedMessages = 64;
/** The default ack wait: after a crash its unacknowledged messages are redelivered after this time. */
const defaultAckWaitMs = 5_000;
/** A working process extends the ack wait after this share of it. */
const stillWorkingShare = 0.4;
/**
 * How often the server that leads a consumer confirms a pending pull request. If that server dies, the request is lost, and a
 * client connected to another server gets no error: after two missed heartbeats it pulls again.
 */
const heartbeatMs = 2_000;
/** How long a pull request waits for messages; also how long the client pauses after a cluster without a leader refused one. */
const requestMs = 5_000;
/** After this many failures for an unknown reason an event becomes a dead letter. */
const maxUnknownFailures = 5;
/** How often the holder renews a lease, and the others try to acquire it. */
const leaseCheckMs = 1_000;
const backoff = { firstMs: 250, longestMs: 5_000 };
/** The pause before pulling again, after messages were handed back for lack of a dependency. */
const restMs = 2_000;

/** A durable consumer of an event. */
export interface EventHandler<Schema extends DescMessage = DescMessage> {
  /** The durable consumer's name, with the service: `inventory-order-placed`. */
  readonly durable: string;
  /** The stream of the publisher. */
  readonly stream: string;
  readonly event: Schema;
  /** The most events per batch, unless one message holds more. */
  readonly maxBatch: number;
  /**
   * If given, only the holder of the lease consumes: for effects that concurrent consumers would undo for each other. An
   * optimization only: a holder that hangs may still handle its batch after the next one has started.
   */
  readonly lease?: Lease;
  /**
   * Applies the effect of a batch. An event may be delivered again and in any order, so the effect must be idempotent by a key
   * of its own; resolve only once it is committed. A rejection means that none, or only some of it, was done. `ids` are those
   * of the events, in the same order.
   */
  handle(events: readonly MessageShape<Schema>[], ids: readonly string[]): Promise<void>;
}

/** Infers a handler's types, and erases them for lists of handlers. */
export function eventHandler<Schema extends DescMessage>(handler: EventHandler<Schema>): EventHandler {
  return handler as unknown as EventHandler;
}

/** Creates the durable consumer if it is missing. Call it before the first publish, so that no event is missed. */
export async function ensureConsumer(bus: Bus, handler: EventHandler, ackWaitMs = defaultAckWaitMs): Promise<void> {
  await bus.ensureStreamOfAnother(handler.stream, [`${handler.event.file.proto.package}.>`]);
  await bus.topology.ensureConsumer(handler.stream, {
    durable_name: handler.durable,
    filter_subject: handler.event.typeName,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: maxAckPending,
    // Unlimited, since naks and crashes count as deliveries: the handler decides what is hopeless.
    max_deliver: -1,
  });
}

/** Starts consuming. Returns a function that stops it, and resolves when the current batch is done. */
export async function startConsumer(
  bus: Bus,
  handler: EventHandler,
  log: Logger,
  ackWaitMs = defaultAckWaitMs,
): Promise<() => Promise<void>> {
  const consumerLog = log.child({ consumer: handler.durable });
  const worker = new BatchWorker(bus, handler, consumerLog, ackWaitMs);
  const stopping = new AbortController();
  const pulled = pull(bus, handler, worker, consumerLog, stopping.signal);
  return async () => {
    stopping.abort();
    await pulled;
    await worker.stop();
  };
}

/**
 * Pulls messages until it is stopped. Messages that the server has sent but this process has not received by then are
 * redelivered to another process after the ack wait.
 */
async function pull(
  bus: Bus,
  { stream, durable, lease }: EventHandler,
  worker: BatchWorker,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const stopped = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  while (!signal.aborted) {
    try {
      if (lease !== undefined && !(await lease.acquire())) {
        await delay(leaseCheckMs, undefined, { signal }).catch(() => {});
        continue;
      }
      const consumer = await bus.jetstream.consumers.get(stream, durable);
      const messages = await consumer.consume({
        max_messages: prefetchedMessages,
        idle_heartbeat: heartbeatMs,
        expires: requestMs,
        // A consumer that was recreated is a different one.
        abort_on_missing_resource: true,
        // A callback, since messages buffered in an iterator when it is closed would count as delivered.
        callback: (message) => worker.add(message),
      });
      const done = new AbortController();
      const handedBack = await Promise.race([
        stopped,
        messages.closed(),
        leaseLost(lease, done.signal),
        worker.handsBack().then(() => true),
      ]);
      done.abort();
      await messages.close();
      if (handedBack === true) {
        await lease?.release().catch(() => {});
        await delay(restMs, undefined, { signal }).catch(() => {});
      }
    } catch (error) {
      log.warn({ err: error }, "no events can be pulled, retrying");
    }
    await delay(signal.aborted ? 0 : backoff.firstMs);
  }
  await lease?.release().catch(() => {});
}

/** Resolves when another process holds the lease; renews it until then. */
async function leaseLost(lease: Lease | undefined, signal: AbortSignal): Promise<void> {
  if (lease === undefined) return await new Promise(() => {});
  do {
    await delay(leaseCheckMs, undefined, { signal }).catch(() => {});
    // If the database is unavailable, no other process gets the lease either.
  } while (!signal.aborted && (await lease.acquire().catch(() => true)));
}

/** An unacknowledged message, and its events. */
interface Delivery {
  readonly message: JsMsg;
  readonly events: readonly Event[];
}

/**
 * Handles messages in batches: everything that has arrived during the previous batch, up to `maxBatch`. Batches are small
 * without load and large under load.
 *
 * A batch that succeeds is acknowledged. If it fails for lack of a dependency, it is retried for one ack wait, and then handed
 * back (nak) with everything queued, so that another process can handle it. If it fails otherwise, its messages are handled one
 * by one, and then their events one by one: an event that fails five times becomes a dead letter, and its message is
 * acknowledged once each of its events is done or dead. While a batch is handled, the ack wait of all messages held is
 * extended.
 */
class BatchWorker {
  readonly #bus: Bus;
  readonly #handler: EventHandler;
  readonly #log: Logger;
  readonly #ackWaitMs: number;
  readonly #waiting: Delivery[] = [];
  /** Failures of events, by event id. */
  readonly #failures = new Map<string, number>();
  readonly #stopping = new AbortController();
  #handingBack = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;

  constructor(bus: Bus, handler: EventHandler, log: Logger, ackWaitMs: number) {
    this.#bus = bus;
    this.#handler = handler;
    this.#log = log;
    this.#ackWaitMs = ackWaitMs;
  }

  /** Resolves the next time that messages are handed back for lack of a dependency. */
  handsBack(): Promise<void> {
    this.#handingBack = Promise.withResolvers();
    return this.#handingBack.promise;
  }

  add(message: JsMsg): void {
    if (isRedrivenForAnother(message, this.#handler.durable)) {
      message.ack();
      return;
    }
    this.#waiting.push({ message, events: readEvents(message) });
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Hands back queued messages for another process; resolves when the current batch is done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#giveBack(this.#waiting.splice(0));
    await this.#running;
  }

  #giveBack(deliveries: readonly Delivery[]): void {
    // Delayed: until the server knows that this process no longer pulls, they would be redelivered here.
    for (const { message } of deliveries) message.nak(backoff.firstMs);
  }

  async #run(): Promise<void> {
    // Messages of the same turn of the event loop belong to the same batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      const stillWorking = setInterval(() => {
        for (const { message } of [...batch, ...this.#waiting]) message.working();
      }, this.#ackWaitMs * stillWorkingShare);
      await this.#process(batch);
      clearInterval(stillWorking);
    }
  }

  /** Takes whole messages, up to maxBatch events. */
  #takeBatch(): Delivery[] {
    let events = 0;
    const end = this.#waiting.findIndex((delivery, index) => {
      events += delivery.events.length;
      return index > 0 && events > this.#handler.maxBatch;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  async #process(batch: readonly Delivery[]): Promise<void> {
    try {
      await this.#handle(batch.flatMap(({ events }) => events));
      for (const { message } of batch) message.ack();
    } catch (error) {
      if (error instanceof HandedBack) {
        this.#giveBack(batch);
      } else if (batch.length > 1) {
        // One bad event must not delay the others, or be counted as their failure.
        for (const delivery of batch) await this.#process([delivery]);
      } else {
        await this.#processEach(batch[0]!);
      }
    }
  }

  /** Handles the events of a message one by one; it is redelivered unless each is done or a dead letter. */
  async #processEach({ message, events }: Delivery): Promise<void> {
    let retryAfterMs = 0;
    for (const event of events) {
      try {
        await this.#handle([event]);
        this.#failures.delete(event.id);
      } catch (error) {
        if (error instanceof HandedBack) return this.#giveBack([{ message, events }]);
        retryAfterMs = Math.max(retryAfterMs, await this.#failed(event, message, error));
      }
    }
    if (retryAfterMs > 0) message.nak(retryAfterMs);
    else message.ack();
  }

  /**
   * Retries during one ack wait while a dependency is lost, then rejects with HandedBack: another process may have the
   * dependency. Rejects with any other error at once.
   */
  async #handle(events: readonly Event[]): Promise<void> {
    const handsBackAt = performance.now() + this.#ackWaitMs;
    for (let attempt = 0; ; attempt++) {
      try {
        const messages = events.map(({ payload }) => fromBinary(this.#handler.event, payload));
        const ids = events.map(({ id }) => id);
        return await this.#inTraceOf(events, () => this.#handler.handle(messages, ids));
      } catch (error) {
        if (!isDependencyLost(error)) throw error;
        if (this.#stopping.signal.aborted) throw new HandedBack();
        if (performance.now() > handsBackAt) {
          this.#log.warn({ err: error, events: events.length }, "a dependency is lost, handing events back");
          this.#handingBack.resolve();
          this.#giveBack(this.#waiting.splice(0));
          throw new HandedBack();
        }
        this.#log.warn({ err: error, events: events.length }, "waiting for a dependency");
        await delay(exponentialBackoff(attempt + 1, backoff), undefined, { signal: this.#stopping.signal }).catch(
          () => {},
        );
      }
    }
  }

  /** A single event's trace continues. A batch has a trace of its own, in which work about an event's aggregate is the event's. */
  async #inTraceOf(events: readonly Event[], work: () => Promise<void>): Promise<void> {
    const { event, durable } = this.#handler;
    const name = `process ${event.typeName}`;
    const traces = events.map(recordedTraceOf);
    const [only] = events.length === 1 ? events : [];
    if (only === undefined) {
      const options = traces.some((trace) => trace !== undefined)
        ? processSpan(event.typeName, durable, events.length, undefined)
        : {};
      return await inJointTrace(name, options, traces, work, (index) => aggregateIdOf(events[index]!));
    }
    const [trace] = traces;
    if (trace === undefined) return await inTrace(traceOf(only), work);
    const options = { ...processSpan(event.typeName, durable, 1, only.id), links: [linkTo(trace)] };
    await inSpan(name, options, work, trace);
  }

  /** Counts a failure; a hopeless event becomes a dead letter. Returns the delay before a retry in milliseconds; 0 for none. */
  async #failed(event: Event, message: JsMsg, error: unknown): Promise<number> {
    const failures = (this.#failures.get(event.id) ?? 0) + 1;
    this.#failures.set(event.id, failures);
    if (failures < maxUnknownFailures) {
      this.#log.warn({ err: error, event: event.id, failures }, "an event failed, retrying");
      return exponentialBackoff(failures + 1, backoff);
    }
    try {
      await sendToDeadLetters(this.#bus, this.#handler.durable, event, message, error);
      this.#log.error({ err: error, event: event.id }, "an event became a dead letter");
      this.#failures.delete(event.id);
      return 0;
    } catch (cause) {
      this.#log.warn({ err: cause, event: event.id }, "the dead letter stream is unavailable, retrying");
      return backoff.longestMs;
    }
  }
}

/** The worker was stopped, or a dependency was lost for too long. */
class HandedBack extends Error {}

function readEvents(message: JsMsg): Event[] {
  try {
    return eventsOf(message);
  } catch {
    // Decoding it as the event will fail, which makes it a dead letter.
    return [asOneEvent(message)];
  }
}
