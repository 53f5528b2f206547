import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

export const ends = ["RST", "FIN", "leaves at once", "leaves when answered"] as const;

/** The behaviour of one peer: the packets that it sends, and how it leaves. */
export interface Play {
  readonly packets: readonly Uint8Array[];
  readonly end: (typeof ends)[number];
}

/** The longest that a peer waits for a response, in milliseconds. */
const stayMs = 500;

/** Plays it on its own connection. Resolves with the number of response bytes once that is closed; never rejects. */
async function play(port: number, { packets, end }: Play): Promise<number> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let answered = 0;
  socket.on("error", () => {}); // 'close' follows.
  const first = new Promise<void>((resolve) => {
    socket.on("data", (chunk: Buffer) => {
      answered += chunk.length;
      resolve();
    });
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  for (const [index, packet] of packets.entries()) {
    // Otherwise the kernel would send them as one packet.
    if (index > 0) await delay(1);
    if (!socket.writable) break;
    await new Promise<void>((resolve) => socket.write(packet, () => resolve()));
  }
  if (end === "RST") socket.resetAndDestroy();
  else if (end === "leaves at once") socket.destroy();
  else {
    if (end === "FIN") socket.end();
    await Promise.race([end === "FIN" ? closed : first, closed, delay(stayMs)]);
    socket.destroy();
  }
  await closed;
  return answered;
}

/** Plays all, `players` at a time. */
export async function playAll(
  plays: Iterable<{ readonly port: number } & Play>,
  concurrency: number,
): Promise<{ readonly played: number; readonly answered: number }> {
  const rest = plays[Symbol.iterator]();
  let [played, answered] = [0, 0];
  const players = Array.from({ length: concurrency }, async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) {
      const bytes = await play(next.value.port, next.value);
      if (bytes > 0) answered++;
      played++;
    }
  });
  await Promise.all(players);
  return { played, answered };
}
