import type { Socket } from "node:net";
import type { ListenerGuard } from "@shop/http-port";
import type { Client } from "undici";
import { NotConnected } from "./http2-sessions.ts";
import { openSocket } from "./open-socket.ts";

/** All times are in milliseconds. */
export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  /** The time after which an idle connection is not used again. */
  readonly idleMs: number;
  /** The time within which an answer must begin. */
  readonly answerTimeoutMs: number;
  readonly guard: ListenerGuard;
}

/** A connection to an upstream, for one request at a time. */
export interface Http1Connection {
  readonly client: Client;
  /** Whether it was used before: the upstream may have closed it in the meantime. */
  readonly isReused: boolean;
  /** Returns it to the pool, once the answer has ended. */
  release(): void;
  /** Closes it at once, with its request. */
  close(): void;
}

const maxIdle = 256;

/**
 * A pool of HTTP/1.1 connections to one address, each with one request at a time. If an upstream sends anything but the answer
 * to the current request, undici closes the connection. A connection is reused one turn of the event loop after its answer, so
 * that surplus bytes after the answer are noticed first.
 */
export class Http1Connections {
  readonly #origin: string;
  readonly #options: ConnectionOptions;
  readonly #idle: { readonly client: Client; readonly since: number }[] = [];
  readonly #open = new Set<Client>();

  /** @param origin `http://host:port` */
  constructor(origin: string, options: ConnectionOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  /** Rejects with {@link NotConnected} if no connection can be made. */
  async take(): Promise<Http1Connection> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (performance.now() - idle.since < this.#options.idleMs) return this.#lend(idle.client, true);
      void idle.client.destroy();
    }
    // Loaded with the first connection: most calls travel on multiplexed connections, and it takes 25 MiB.
    const undici = await import("undici");
    return this.#lend(this.#clientOf(undici.Client, await this.#connect()), false);
  }

  /** Closes all connections at once, with their requests. */
  close(): void {
    for (const client of this.#open) void client.destroy();
  }

  #lend(client: Client, isReused: boolean): Http1Connection {
    return {
      client,
      isReused,
      close: () => void client.destroy(),
      release: () => {
        setImmediate(() => {
          if (!this.#open.has(client)) return;
          if (this.#idle.length < maxIdle) this.#idle.push({ client, since: performance.now() });
          else void client.destroy();
        });
      },
    };
  }

  #clientOf(Constructor: typeof Client, socket: Socket): Client {
    let given: Socket | undefined = socket;
    const client = new Constructor(this.#origin, {
      // A client has exactly one connection, and is discarded with it.
      connect: (_options, connected) => {
        const one = given;
        given = undefined;
        queueMicrotask(() => {
          if (one === undefined) connected(new NotConnected("the connection was closed"), null);
          else connected(null, one);
        });
      },
      pipelining: 1,
      headersTimeout: this.#options.answerTimeoutMs,
      bodyTimeout: 0,
      keepAliveTimeout: this.#options.idleMs || 1,
      // Otherwise the upstream's own limit counts.
      keepAliveMaxTimeout: this.#options.idleMs || 1,
    });
    this.#open.add(client);
    client.once("disconnect", () => {
      this.#open.delete(client);
      const index = this.#idle.findIndex((idle) => idle.client === client);
      if (index !== -1) this.#idle.splice(index, 1);
      void client.destroy();
    });
    return client;
  }

  async #connect(): Promise<Socket> {
    try {
      return await openSocket(this.#origin, this.#options);
    } catch (cause) {
      throw new NotConnected(`no HTTP/1.1 connection to ${this.#origin}`, { cause });
    }
  }
}
