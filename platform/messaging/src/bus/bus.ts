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
const defaultRetentionMs = 7 * dayMs;
/** JetStream detects duplicate ids within this window; effects are idempotent anyway. */
const dedupeWindowMs = 10 * 60 * 1000;
const publishTimeoutMs = 5_000;
/** JetStream's number of "replicas > 1 not supported in non-clustered mode". */
const replicasNotSupported = 10074;
const unavailableMessage = "NATS is unavailable, retrying";
/** A request to a cluster during a leader election is lost. A short timeout lets a start retry it soon. */
const managerTimeoutMs = 2_000;

/** The part of JetStream that the platform uses. */
export interface Bus {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  /** The streams and consumers that this process needs. */
  readonly topology: Topology;
  isConnected(): boolean;
  /** Calls `callBack` whenever the connection was restored. Returns a function that unsubscribes. */
  onReconnect(callBack: () => void): () => void;
  /**
   * Creates the stream if it is missing, and updates its settings. Idempotent, so that publishers and consumers may both call
   * it. Events are retained for seven days by default.
   */
  ensureStream(name: string, subjects: readonly string[], retentionMs?: number): Promise<void>;
  /** Creates the stream of another service if it is missing; only its owner changes its settings. */
  ensureStreamOfAnother(name: string, subjects: readonly string[]): Promise<void>;
  /** Resolves when the stream has stored the event, possibly batched with others of its type. Safe to retry. */
  publish(event: Event): Promise<void>;
  /** Resolves when the stream has stored the message under this subject. Safe to retry with the same id. */
  send(subject: string, message: BusMessage): Promise<void>;
  close(): Promise<void>;
}

/** Connects to NATS, waiting for it until `signal` fires; from then on it reconnects for ever. */
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
        // A stack trace per publish would cost more than the publish.
        noAsyncTraces: true,
        // A hanging server is abandoned after three intervals.
        pingInterval: 2_000,
        maxPingOut: 2,
      }),
    unavailableMessage,
    log,
    signal,
  );
  const manager = await untilAnswered(
    () => jetstreamManager(connection, { timeout: managerTimeoutMs }),
    unavailableMessage,
    log,
    signal,
  );
  const jetstream = jetstreamOf(connection);
  const topology = createTopology(manager);

  let connected = true;
  const reconnectListeners = new Set<() => void>();
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === "disconnect") {
        connected = false;
        log.warn("NATS disconnected");
      } else if (status.type === "reconnect") {
        connected = true;
        log.info("NATS reconnected");
        for (const callBack of reconnectListeners) callBack();
      }
    }
  })();

  async function send(subject: string, message: BusMessage): Promise<void> {
    if (!connected) {
      // Otherwise the client would buffer every event in memory until the connection is back.
      throw new DomainError("unavailable", "BUS_UNAVAILABLE", "NATS is disconnected");
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
    retentionMs: number,
    isOwn: boolean,
  ): Promise<void> {
    const config = {
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      max_age: nanos(retentionMs),
      duplicate_window: nanos(dedupeWindowMs),
      num_replicas: options.replicas,
    };
    const ensure = async () => {
      try {
        await topology.ensureStream(name, config, isOwn);
      } catch (error) {
        if (apiErrorCode(error) !== replicasNotSupported) throw error;
        throw new ConfigError(`NATS_REPLICAS is ${options.replicas}, but NATS is a single server`);
      }
    };
    await untilAnswered(ensure, unavailableMessage, log, signal);
  }

  return {
    connection,
    jetstream,
    manager,
    topology,
    isConnected: () => connected,
    onReconnect(callBack) {
      reconnectListeners.add(callBack);
      return () => void reconnectListeners.delete(callBack);
    },
    ensureStream: (name, subjects, retentionMs = defaultRetentionMs) => ensureStream(name, subjects, retentionMs, true),
    ensureStreamOfAnother: (name, subjects) => ensureStream(name, subjects, defaultRetentionMs, false),
    publish: createBatchPublisher(send),
    send,
    async close() {
      // drain() fails on a broken connection.
      await connection.drain().catch(() => connection.close());
    },
  };
}
