import { setTimeout as delay } from "node:timers/promises";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { AckPolicy, DeliverPolicy, type JsMsg, nanos } from "nats";
import { isDependencyLost } from "../dependency-lost.ts";
import type { Logger } from "../log.ts";
import type { Lease } from "../mongo/lease.ts";
import { inTrace, traceparentHeader } from "../trace.ts";
import type { Bus } from "./bus.ts";
import { sendToDeadLetters } from "./dead-letters.ts";

/** Delivered and not acknowledged, over all replicas: what bounds the memory of a slow consumer. */
const maxAckPending = 2_048;
/** So long after a crash what it had in hand is delivered again. A living process asks for more time in good time. */
const ackWaitMs = 5_000;
const stillWorkingMs = 2_000;
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
const backoffMs = { first: 250, most: 5_000 };

/** What a service does when it hears an event. */
export interface EventHandler<Schema extends DescMessage = DescMessage> {
  /** Names the durable consumer, with the service: `inventory-order-placed`. */
  readonly durable: string;
  /** The stream of whoever emits. */
  readonly stream: string;
  readonly event: Schema;
  /** At most this many at once. */
  readonly maxBatch: number;
  /**
   * Only its holder hears: for effects of which rivals would undo one another's work. For speed alone: a holder that hangs
   * may go on with what it has while the next one has begun.
   */
  readonly lease?: Lease;
  /**
   * The effect. It comes again whenever that is in doubt, and in any order, so it is idempotent by a key of its own; it
   * resolves only once it is committed. A rejection means that nothing, or only some of it, was done.
   */
  handle(events: readonly MessageShape<Schema>[]): Promise<void>;
}

/** Keeps an inferred handler's types, and hides them from lists of handlers. */
export function eventHandler<Schema extends DescMessage>(handler: EventHandler<Schema>): EventHandler {
  return handler as unknown as EventHandler;
}

/** Makes the durable consumer if it is missing. Before the first publish, so that nothing is missed. */
export async function ensureConsumer(bus: Bus, handler: EventHandler): Promise<void> {
  await bus.ensureStream(handler.stream, [`${handler.event.file.proto.package}.>`]);
  await bus.manager.consumers.add(handler.stream, {
    durable_name: handler.durable,
    filter_subject: handler.event.typeName,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: maxAckPending,
    // Naks and crashes count as deliveries: only the handler can tell what is hopeless.
    max_deliver: -1,
  });
}

/** Starts to hear; the answer stops it and resolves when the batch in hand is done. */
export async function startConsumer(bus: Bus, handler: EventHandler, log: Logger): Promise<() => Promise<void>> {
  const consumerLog = log.child({ consumer: handler.durable });
  const worker = new BatchWorker(bus, handler, consumerLog);
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
  { stream, durable, maxBatch, lease }: EventHandler,
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
        max_messages: maxBatch * 2,
        idle_heartbeat: heartbeatMs,
        expires: requestMs,
        // Not an iterator: what that has buffered when it is closed would count as sent and not received.
        callback: (message) => worker.add(message),
      });
      const done = new AbortController();
      await Promise.race([stopped, messages.closed(), lost(lease, done.signal)]);
      done.abort();
      await messages.close();
    } catch (error) {
      log.warn({ err: error }, "no events can be had, trying again");
    }
    await delay(signal.aborted ? 0 : backoffMs.first);
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

/** Handles whatever has arrived while the last batch was in hand: small batches when it is quiet, large ones under load. */
class BatchWorker {
  readonly #bus: Bus;
  readonly #handler: EventHandler;
  readonly #log: Logger;
  readonly #waiting: JsMsg[] = [];
  readonly #failures = new Map<number, number>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(bus: Bus, handler: EventHandler, log: Logger) {
    this.#bus = bus;
    this.#handler = handler;
    this.#log = log;
  }

  add(message: JsMsg): void {
    this.#waiting.push(message);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Gives back what waits, to be delivered to another process; resolves when the batch in hand is done. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const message of this.#waiting.splice(0)) message.nak();
    await this.#running;
  }

  async #run(): Promise<void> {
    // What arrives in the same turn of the event loop belongs to the same batch.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, this.#handler.maxBatch);
      const stillWorking = setInterval(() => {
        for (const message of [...batch, ...this.#waiting]) message.working();
      }, stillWorkingMs);
      await this.#process(batch);
      clearInterval(stillWorking);
    }
  }

  async #process(batch: readonly JsMsg[]): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#handle(batch);
        for (const message of batch) {
          message.ack();
          this.#failures.delete(message.seq);
        }
        return;
      } catch (error) {
        if (isDependencyLost(error)) {
          if (this.#stopping.signal.aborted) {
            for (const message of batch) message.nak();
            return;
          }
          this.#log.warn({ err: error, events: batch.length }, "waiting for a dependency");
          await delay(backoff(attempt), undefined, { signal: this.#stopping.signal }).catch(() => {});
        } else if (batch.length > 1) {
          // One bad event must not hold up, or be blamed on, its neighbours.
          for (const message of batch) await this.#process([message]);
          return;
        } else {
          await this.#failed(batch[0]!, error);
          return;
        }
      }
    }
  }

  async #handle(batch: readonly JsMsg[]): Promise<void> {
    const events = batch.map((message) => fromBinary(this.#handler.event, message.data));
    await inTrace(batch[0]?.headers?.get(traceparentHeader), () => this.#handler.handle(events));
  }

  async #failed(message: JsMsg, error: unknown): Promise<void> {
    const failures = (this.#failures.get(message.seq) ?? 0) + 1;
    this.#failures.set(message.seq, failures);
    if (failures < maxUnknownFailures) {
      this.#log.warn({ err: error, seq: message.seq, failures }, "an event failed, trying again");
      message.nak(backoff(failures));
      return;
    }
    try {
      await sendToDeadLetters(this.#bus, this.#handler.durable, message, error);
      this.#log.error({ err: error, seq: message.seq }, "an event was set aside in the dead letters");
      message.term(String(error));
      this.#failures.delete(message.seq);
    } catch (cause) {
      this.#log.warn({ err: cause, seq: message.seq }, "the dead letters are not there, trying again");
      message.nak(backoffMs.most);
    }
  }
}

function backoff(attempt: number): number {
  return Math.min(backoffMs.first * 2 ** attempt, backoffMs.most);
}
