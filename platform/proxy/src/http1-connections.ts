import { connect, type Socket } from "node:net";
import type { ListenerGuard } from "@shop/http-port";
import { Client } from "undici";
import { NotConnected } from "./http2-sessions.ts";

/** All times are in milliseconds. */
export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  /** An answer that has not begun after so long is given up. */
  readonly answerTimeoutMs: number;
  readonly guard: ListenerGuard;
}

/** A connection to an upstream that one request may have to itself. */
export interface Http1Connection {
  readonly client: Client;
  /** Whether it was used before: it may have been closed just as it is used again. */
  readonly isReused: boolean;
  /** To be called when the answer has ended: it may be used again. */
  release(): void;
  /** Ends it at once, and what runs over it. */
  close(): void;
}

/** Longer than this no connection is kept without a request. */
const idleMs = 60_000;
const maxIdle = 256;

/**
 * HTTP/1.1 connections to one address, each with one request at a time. Whatever an upstream sends that is not the answer to the
 * request under way has undici close the connection; one that answered is used again a turn of the event loop later, so that
 * what came behind the answer is seen first.
 */
export class Http1Connections {
  readonly #origin: string;
  readonly #options: ConnectionOptions;
  readonly #idle: Client[] = [];
  readonly #open = new Set<Client>();

  /** @param origin `http://host:port` */
  constructor(origin: string, options: ConnectionOptions) {
    this.#origin = origin;
    this.#options = options;
  }

  /** Rejects with {@link NotConnected} if there is no connection to be had. */
  async take(): Promise<Http1Connection> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return this.#lend(idle, true);
    return this.#lend(this.#clientOf(await this.#connect()), false);
  }

  /** Ends all connections at once, with their requests. */
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
          if (this.#idle.length < maxIdle) this.#idle.push(client);
          else void client.destroy();
        });
      },
    };
  }

  #clientOf(socket: Socket): Client {
    let given: Socket | undefined = socket;
    const client = new Client(this.#origin, {
      // It has this one connection, and is thrown away with it.
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
      keepAliveTimeout: idleMs,
    });
    this.#open.add(client);
    client.once("disconnect", () => {
      this.#open.delete(client);
      const index = this.#idle.indexOf(client);
      if (index !== -1) this.#idle.splice(index, 1);
      void client.destroy();
    });
    return client;
  }

  #connect(): Promise<Socket> {
    const { hostname, port } = new URL(this.#origin);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80), noDelay: true });
      this.#options.guard("connection", socket);
      const deadline = setTimeout(() => socket.destroy(new Error("timed out")), this.#options.connectTimeoutMs);
      const fail = (cause: unknown) => {
        clearTimeout(deadline);
        reject(new NotConnected(`no HTTP/1.1 connection to ${this.#origin}`, { cause }));
      };
      socket.once("error", fail).once("connect", () => {
        clearTimeout(deadline);
        socket.off("error", fail);
        resolve(socket);
      });
    });
  }
}
