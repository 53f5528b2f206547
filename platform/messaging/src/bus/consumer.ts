import { setTimeout as delay } from "node:timers/promises";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { AckPolicy, type JsMsg } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { exponentialBackoff, inTrace, type Lease, type Logger } from "@shop/core";
import { isDependencyLost } from "../dependency-lost.ts";
import type { Bus } from "./bus.ts";
import { isRedrivenForAnother, sendToDeadLetters } from "./dead-letters.ts";
import { asOneEvent, type Event, eventsOf } from "./event-batch.ts";

/** Delivered and not acknowledged, over all replicas: what bounds the memory of a slow consumer. */
const maxAckPending = 2_048;
/** Asked for at once; a message holds up to 256 events. */
const prefetchedMessages = 64;
/** So long after a crash what it had in hand is delivered again, unless told otherwise. */
const defaultAckWaitMs = 5_000;
/** A living process asks for more time in good time: after so much of it. */
const stillWorkingShare = 0.4;
/**
 * The server that leads a consumer says so often that it still has our request. One that dies takes the request with it, and
 * nobody tells who is connected to another server: after two silences it is asked again.
 */
const heartbeatMs = 2_000;
/** How long a request waits for messages; also how long the client rests when a cluster without a leader refused one. */
const requestMs = 5_000;
/** A message whose handling failed so often, for no known reason, is set aside. */
const maxUnknownFailures = 5;
/** How often a lease is prolonged by its holder, and asked for by the others. */
const leaseCheckMs = 1_000;
const backoff = { firstMs: 250, longestMs: 5_000 };
/** Who has handed back what they can't handle asks for more only then. */
const restMs = 2_000;

/** What a service does when it hears an event. */
export interface EventHandler<Schema extends DescMessage = DescMessage> {
  /** Names the durable consumer, with the service: `inventory-order-placed`. */
  readonly durable: string;
  /** The stream of whoever emits. */
  readonly stream: string;
  readonly event: Schema;
  /** At most this many at once, unless one message holds more. */
  readonly maxBatch: number;
  /**
   * Only its holder hears: for effects of which rivals would undo one another's work. For speed alone: a holder that hangs
   * may go on with what it has while the next one has begun.
   */
  readonly lease?: Lease;
  /**
   * The effect. It comes again whenever that is in doubt, and in any order, so it is idempotent by a key of its own; it
   * resolves only once it is committed. A rejection means that nothing, or only some of it, was done. `ids` are those of the
   * events, in the same order.
   */
  handle(events: readonly MessageShape<Schema>[], ids: readonly string[]): Promise<void>;
}

/** Keeps an inferred handler's types, and hides them from lists of handlers. */
export function eventHandler<Schema extends DescMessage>(handler: EventHandler<Schema>): EventHandler {
  return handler as unknown as EventHandler;
}

/** Makes the durable consumer if it is missing. Before the first publish, so that nothing is missed. */
export async function ensureConsumer(bus: Bus, handler: EventHandler, ackWaitMs = defaultAckWaitMs): Promise<void> {
  await bus.ensureStreamOfAnother(handler.stream, [`${handler.event.file.proto.package}.>`]);
  await bus.topology.ensureConsumer(handler.stream, {
    durable_name: handler.durable,
    filter_subject: handler.event.typeName,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: maxAckPending,
    // Naks and crashes count as deliveries: only the handler can tell what is hopeless.
    max_deliver: -1,
  });
}

/** Starts to hear; the answer stops it and resolves when the batch in hand is done. */
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
 * Keeps asking for messages until it is stopped. What the server has sent, but not this process received, when it stops
 * comes to another process once its acknowledgement has run out.
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
        // Once it is there again it is another one.
        abort_on_missing_resource: true,
        // Not an iterator: what that has buffered when it is closed would count as sent and not received.
        callback: (message) => worker.add(message),
      });
      const done = new AbortController();
      const handedBack = await Promise.race([
        stopped,
        messages.closed(),
        lost(lease, done.signal),
        worker.handsBack().then(() => true),
      ]);
      done.abort();
      await messages.close();
      if (handedBack === true) {
        await lease?.release().catch(() => {});
        await delay(restMs, undefined, { signal }).catch(() => {});
      }
    } catch (error) {
      log.warn({ err: error }, "no events can be had, trying again");
    }
    await delay(signal.aborted ? 0 : backoff.firstMs);
  }
  await lease?.release().catch(() => {});
}

/** Resolves when somebody else holds the lease; keeps it until then. */
async function lost(lease: Lease | undefined, signal: AbortSignal): Promise<void> {
  if (lease === undefined) return await new Promise(() => {});
  do {
    await delay(leaseCheckMs, undefined, { signal }).catch(() => {});
    // A database that can't be asked gives the lease to nobody else either.
  } while (!signal.aborted && (await lease.acquire().catch(() => true)));
}

/** A message in hand, and the events in it. */
interface Delivery {
  readonly message: JsMsg;
  readonly events: readonly Event[];
}

/** Handles whatever has arrived while the last batch was in hand: small batches when it is quiet, large ones under load. */
class BatchWorker {
  readonly #bus: Bus;
  readonly #handler: EventHandler;
  readonly #log: Logger;
  readonly #ackWaitMs: number;
  readonly #waiting: Delivery[] = [];
  /** How often events have failed, by their id. */
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

  /** Resolves the next time that what is in hand was given back because this process can't handle it. */
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

  /** Gives back what waits, to be delivered to another process; resolves when the batch in hand is done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#giveBack(this.#waiting.splice(0));
    await this.#running;
  }

  #giveBack(deliveries: readonly Delivery[]): void {
    // Not at once: until the server knows that nobody here asks any more they would come back.
    for (const { message } of deliveries) message.nak(backoff.firstMs);
  }

  async #run(): Promise<void> {
    // What arrives in the same turn of the event loop belongs to the same batch.
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

  /** Whole messages, until one more would be too much. */
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
        // One bad event must not hold up, or be blamed on, its neighbours.
        for (const delivery of batch) await this.#process([delivery]);
      } else {
        await this.#processEach(batch[0]!);
      }
    }
  }

  /** Handles the events of a message one by one; the message comes again unless each is done or set aside. */
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
   * Waits for a lost dependency for a while, then hands back: others may have what this process lacks. Rejects with whatever
   * else happens.
   */
  async #handle(events: readonly Event[]): Promise<void> {
    const handsBackAt = performance.now() + this.#ackWaitMs;
    for (let attempt = 0; ; attempt++) {
      try {
        const messages = events.map(({ payload }) => fromBinary(this.#handler.event, payload));
        const ids = events.map(({ id }) => id);
        return await inTrace(events[0]?.traceparent, () => this.#handler.handle(messages, ids));
      } catch (error) {
        if (!isDependencyLost(error)) throw error;
        if (this.#stopping.signal.aborted) throw new HandedBack();
        if (performance.now() > handsBackAt) {
          this.#log.warn({ err: error, events: events.length }, "a dependency is lost, others may handle these events");
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

  /** Counts; an event that is hopeless is set aside. Answers in how many milliseconds to try again; 0 for never. */
  async #failed(event: Event, message: JsMsg, error: unknown): Promise<number> {
    const failures = (this.#failures.get(event.id) ?? 0) + 1;
    this.#failures.set(event.id, failures);
    if (failures < maxUnknownFailures) {
      this.#log.warn({ err: error, event: event.id, failures }, "an event failed, trying again");
      return exponentialBackoff(failures + 1, backoff);
    }
    try {
      await sendToDeadLetters(this.#bus, this.#handler.durable, event, message, error);
      this.#log.error({ err: error, event: event.id }, "an event was set aside in the dead letters");
      this.#failures.delete(event.id);
      return 0;
    } catch (cause) {
      this.#log.warn({ err: cause, event: event.id }, "the dead letters are not there, trying again");
      return backoff.longestMs;
    }
  }
}

/** The worker gave up while it waited: it was stopped, or waited for long. */
class HandedBack extends Error {}

function readEvents(message: JsMsg): Event[] {
  try {
    return eventsOf(message);
  } catch {
    // Reading it as the event that it is not will fail, which sets it aside.
    return [asOneEvent(message)];
  }
}
