import { setTimeout as delay } from "node:timers/promises";
import {
  connect,
  Events,
  headers,
  type JetStreamClient,
  type JetStreamManager,
  type MsgHdrs,
  type NatsConnection,
  NatsError,
  nanos,
  RetentionPolicy,
  StorageType,
} from "nats";
import { isDependencyLost } from "../dependency-lost.ts";
import { DomainError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { traceparentHeader } from "../trace.ts";

const dayMs = 24 * 60 * 60 * 1000;
const retentionMs = 7 * dayMs;
/** JetStream forgets the ids it has seen after this; effects are idempotent anyway. */
const dedupeWindowMs = 10 * 60 * 1000;
const publishTimeoutMs = 5_000;
/** A request to a cluster that elects a leader just then is lost: asked again soon, a start does not wait for it. */
const managerTimeoutMs = 2_000;

/** An event on its way: its type is its subject, its id is where duplicates are told by. */
export interface Event {
  /** `<service>/<type>/<aggregate id>/<version>/<n>`; two events never share one. */
  readonly id: string;
  /** The full name of the message, such as `shop.orders.v1.OrderPlaced`. */
  readonly type: string;
  /** The message, encoded. */
  readonly payload: Uint8Array;
  readonly traceparent?: string | undefined;
}

/** JetStream, as much of it as the platform uses. */
export interface Bus {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  isConnected(): boolean;
  /** Makes the stream if it is missing, and keeps its settings. Idempotent, so that emitters and hearers may both ask. */
  ensureStream(name: string, subjects: readonly string[]): Promise<void>;
  /** Resolves when the stream has stored the event. Safe to retry with the same id. */
  publish(event: Event, extraHeaders?: Readonly<Record<string, string>>, subject?: string): Promise<void>;
  close(): Promise<void>;
}

/** Connects to NATS, waiting for it as long as `signal` allows; from then on it reconnects for ever. */
export async function connectBus(
  options: { readonly url: string; readonly name: string; readonly replicas: number },
  log: Logger,
  signal: AbortSignal,
): Promise<Bus> {
  const servers = options.url.split(",").map((url) => url.trim());
  const connection = await waitFor(
    () =>
      connect({
        servers,
        name: options.name,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        // A stack trace for every publish would cost more than the publish.
        noAsyncTraces: true,
        // A server that hangs is left after three of these.
        pingInterval: 2_000,
        maxPingOut: 2,
      }),
    log,
    signal,
  );
  const manager = await waitFor(() => connection.jetstreamManager({ timeout: managerTimeoutMs }), log, signal);
  const jetstream = connection.jetstream();

  let connected = true;
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === Events.Disconnect) {
        connected = false;
        log.warn("the bus is gone");
      } else if (status.type === Events.Reconnect) {
        connected = true;
        log.info("the bus is back");
      }
    }
  })();

  return {
    connection,
    jetstream,
    manager,
    isConnected: () => connected,
    async ensureStream(name, subjects) {
      const config = {
        subjects: [...subjects],
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        max_age: nanos(retentionMs),
        duplicate_window: nanos(dedupeWindowMs),
        num_replicas: options.replicas,
      };
      await waitFor(
        async () => {
          try {
            await manager.streams.add({ name, ...config });
          } catch (error) {
            // "stream name already in use with a different configuration": made by an older version, or just now.
            if (!(error instanceof NatsError && error.api_error?.err_code === 10058)) throw error;
            await manager.streams.update(name, config);
          }
        },
        log,
        signal,
      );
    },
    async publish(event, extraHeaders = {}, subject = event.type) {
      if (!connected) {
        // Without this the client would keep every event in memory until the bus is back.
        throw new DomainError("unavailable", "BUS_UNAVAILABLE", "the bus is not there");
      }
      await jetstream.publish(subject, event.payload, {
        msgID: event.id,
        headers: eventHeaders(event, extraHeaders),
        timeout: publishTimeoutMs,
      });
    },
    async close() {
      await connection.drain();
    },
  };
}

function eventHeaders(event: Event, extra: Readonly<Record<string, string>>): MsgHdrs {
  const result = headers();
  if (event.traceparent !== undefined) result.set(traceparentHeader, event.traceparent);
  for (const [name, value] of Object.entries(extra)) result.set(name, value);
  return result;
}

async function waitFor<Result>(attempt: () => Promise<Result>, log: Logger, signal: AbortSignal): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      signal.throwIfAborted();
      if (!isDependencyLost(error)) throw error;
      log.warn({ err: error }, "NATS is not there yet, trying again");
      await delay(500, undefined, { signal });
    }
  }
}
