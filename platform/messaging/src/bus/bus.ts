import {
  type JetStreamClient,
  type JetStreamManager,
  jetstreamManager,
  jetstream as jetstreamOf,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { connect, headers, type NatsConnection, nanos } from "@nats-io/transport-node";
import { ConfigError, DomainError, type Logger } from "@shop/core";
import { untilAnswered } from "../until-answered.ts";
import { apiErrorCode } from "./bus-errors.ts";
import { type BusMessage, createBatchPublisher, type Event } from "./event-batch.ts";
import { natsServers } from "./nats-servers.ts";
import { createTopology, type Topology } from "./topology.ts";

const dayMs = 24 * 60 * 60 * 1000;
const retentionMs = 7 * dayMs;
/** JetStream forgets the ids it has seen after this; effects are idempotent anyway. */
const dedupeWindowMs = 10 * 60 * 1000;
const publishTimeoutMs = 5_000;
/** JetStream's number of "replicas > 1 not supported in non-clustered mode". */
const replicasNotSupported = 10074;
const notThereYet = "NATS is not there yet, trying again";
/** A request to a cluster that elects a leader just then is lost: asked again soon, a start does not wait for it. */
const managerTimeoutMs = 2_000;

/** JetStream, as much of it as the platform uses. */
export interface Bus {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** The streams and consumers that this process needs. */
  readonly topology: Topology;
  isConnected(): boolean;
  /** Calls back whenever the connection broke and is back. The answer ends it. */
  whenBack(callBack: () => void): () => void;
  /**
   * Makes the stream if it is missing, and keeps its settings. Idempotent, so that emitters and hearers may both ask. It keeps
   * events for seven days, unless told otherwise.
   */
  ensureStream(name: string, subjects: readonly string[], keptMs?: number): Promise<void>;
  /** Creates the stream of another service if it is missing; its settings are its owner's to change. */
  ensureStreamOfAnother(name: string, subjects: readonly string[]): Promise<void>;
  /** Resolves when the stream has stored the event, together with others of its type. Safe to retry. */
  publish(event: Event): Promise<void>;
  /** Resolves when the stream has stored the message, under a subject of its own. Safe to retry with the same id. */
  send(subject: string, message: BusMessage): Promise<void>;
  close(): Promise<void>;
}

/** Connects to NATS, waiting for it as long as `signal` allows; from then on it reconnects for ever. */
export async function connectBus(
  options: { readonly url: string; readonly name: string; readonly replicas: number },
  log: Logger,
  signal: AbortSignal,
): Promise<Bus> {
  const servers = natsServers(options.url);
  const connection = await untilAnswered(
    () =>
      connect({
        ...servers,
        name: options.name,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        // A stack trace for every publish would cost more than the publish.
        noAsyncTraces: true,
        // A server that hangs is left after three of these.
        pingInterval: 2_000,
        maxPingOut: 2,
      }),
    notThereYet,
    log,
    signal,
  );
  const manager = await untilAnswered(
    () => jetstreamManager(connection, { timeout: managerTimeoutMs }),
    notThereYet,
    log,
    signal,
  );
  const jetstream = jetstreamOf(connection);
  const topology = createTopology(manager);

  let connected = true;
  const waitingForBack = new Set<() => void>();
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") {
        connected = false;
        log.warn("the bus is gone");
      } else if (status.type === "reconnect") {
        connected = true;
        log.info("the bus is back");
        for (const callBack of waitingForBack) callBack();
      }
    }
  })();

  async function send(subject: string, message: BusMessage): Promise<void> {
    if (!connected) {
      // Without this the client would keep every event in memory until the bus is back.
      throw new DomainError("unavailable", "BUS_UNAVAILABLE", "the bus is not there");
    }
    const fields = headers();
    for (const [name, value] of Object.entries(message.headers)) fields.set(name, value);
    await jetstream.publish(subject, message.payload, {
      msgID: message.id,
      headers: fields,
      timeout: publishTimeoutMs,
    });
  }

  async function ensureStream(
    name: string,
    subjects: readonly string[],
    keptMs: number,
    isOwn: boolean,
  ): Promise<void> {
    const config = {
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      max_age: nanos(keptMs),
      duplicate_window: nanos(dedupeWindowMs),
      num_replicas: options.replicas,
    };
    const ensure = async () => {
      try {
        await topology.ensureStream(name, config, isOwn);
      } catch (error) {
        if (apiErrorCode(error) !== replicasNotSupported) throw error;
        throw new ConfigError(`NATS_REPLICAS is ${options.replicas}, but that NATS is a single server`);
      }
    };
    await untilAnswered(ensure, notThereYet, log, signal);
  }

  return {
    connection,
    jetstream,
    manager,
    topology,
    isConnected: () => connected,
    whenBack(callBack) {
      waitingForBack.add(callBack);
      return () => void waitingForBack.delete(callBack);
    },
    ensureStream: (name, subjects, keptMs = retentionMs) => ensureStream(name, subjects, keptMs, true),
    ensureStreamOfAnother: (name, subjects) => ensureStream(name, subjects, retentionMs, false),
    publish: createBatchPublisher(send),
    send,
    async close() {
      // Nothing drains over a connection that broke.
      await connection.drain().catch(() => connection.close());
    },
  };
}
