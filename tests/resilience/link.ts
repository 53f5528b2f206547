import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const probeEveryMs = 20;

/**
 * A fault of a link. `slow`: every chunk is delayed by `delayMs` and up to `jitterMs` more, and then limited to
 * `bytesPerSecond`. `reset`: its connections are reset (RST), and so is each new one. `cut`: bytes are held back without
 * notice: new connections are accepted and stay silent. Bytes in flight arrive once the link is restored, as with TCP
 * retransmission. `deaf` is cut from the client to the server only, `mute` from the server to the client.
 */
export type LinkFault =
  | { readonly kind: "slow"; readonly delayMs: number; readonly jitterMs: number; readonly bytesPerSecond: number }
  | { readonly kind: "reset" | "cut" | "deaf" | "mute" };

/** Gets the bytes of one direction of one connection, and forwards those that should arrive, immediately or later. */
export type Filter = (forward: (bytes: Buffer) => void) => (bytes: Buffer) => void;

/** A loopback port that forwards to another one, with injectable faults. */
export interface Link {
  readonly port: number;
  /** Sets a fault; without an argument, restores the link. */
  suffer(fault?: LinkFault): void;
  close(): Promise<void>;
}

/**
 * Opens a link to `port`. While no process listens there, the link does not listen either: a client is refused, as without
 * a link.
 * @param filters for each direction of every connection
 */
export async function openLink(
  port: number,
  filters: { readonly there?: Filter; readonly back?: Filter } = {},
  random: () => number = Math.random,
): Promise<Link> {
  let fault: LinkFault | undefined;
  let healed = Promise.withResolvers<void>();
  let listensFrom = 0;
  let closed = false;
  let probing = false;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => void join(client));

  function keep(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on("error", () => {}).once("close", () => sockets.delete(socket));
  }

  /** Resolves when bytes may arrive in this direction. */
  async function passable(blockedBy: "deaf" | "mute", size: number): Promise<void> {
    while (fault !== undefined && (fault.kind === "cut" || fault.kind === blockedBy)) await healed.promise;
    if (fault?.kind !== "slow") return;
    const { delayMs, jitterMs, bytesPerSecond } = fault;
    const waitMs = delayMs + jitterMs * random() + (1_000 * size) / bytesPerSecond;
    await Promise.race([delay(waitMs), healed.promise]);
  }

  async function carry(
    from: Socket,
    to: Socket,
    blockedBy: "deaf" | "mute",
    filter: Filter | undefined,
  ): Promise<void> {
    const forward = (bytes: Buffer) => void (to.writable && to.write(bytes));
    const take = filter?.(forward) ?? forward;
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        await passable(blockedBy, chunk.length);
        take(chunk);
        if (to.writableNeedDrain) await Promise.race([once(to, "drain"), once(to, "close")]);
      }
      await passable(blockedBy, 0);
      to.end();
    } catch {
      to.resetAndDestroy();
    }
  }

  async function join(client: Socket): Promise<void> {
    keep(client);
    if (fault?.kind === "reset") return void client.resetAndDestroy();
    await passable("deaf", 0);
    const upstream = keep(connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true }));
    upstream.once("close", () => void probe());
    client.once("close", () => void passable("deaf", 0).then(() => upstream.destroy()));
    try {
      await once(upstream, "connect");
    } catch {
      return void client.resetAndDestroy();
    }
    void carry(client, upstream, "deaf", filters.there);
    void carry(upstream, client, "mute", filters.back);
  }

  async function listen(): Promise<void> {
    if (server.listening || closed) return;
    server.listen({ host: "127.0.0.1", port: listensFrom, backlog: 511 });
    await once(server, "listening");
    listensFrom = (server.address() as AddressInfo).port;
  }

  /** Listens whenever the target does. */
  async function probe(): Promise<void> {
    if (probing || closed) return;
    probing = true;
    while (!closed) {
      const upstream = connect({ host: "127.0.0.1", port });
      const answers = await once(upstream, "connect").then(
        () => true,
        () => false,
      );
      upstream.destroy();
      if (answers) break;
      if (server.listening) server.close();
      await delay(probeEveryMs);
    }
    probing = false;
    await listen();
  }

  await listen();
  return {
    port: listensFrom,
    suffer(next) {
      fault = next;
      healed.resolve();
      healed = Promise.withResolvers();
      if (fault?.kind === "reset") for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      closed = true;
      fault = undefined;
      healed.resolve();
      for (const socket of sockets) socket.destroy();
      if (server.listening) {
        server.close();
        await once(server, "close");
      }
    },
  };
}
