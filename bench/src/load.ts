import { setTimeout as delay } from "node:timers/promises";
import { type Answer, KeepAliveConnection } from "./keep-alive-connection.ts";
import { runPart, taskOf } from "./part.ts";
import { percentile } from "./percentile.ts";

/** The names in REST and in Connect. */
const orderIdField = /"order_?[iI]d":\s*"([^"]+)"/;

export interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Load {
  /** Of the server, on this machine. */
  readonly url: string;
  /** Sent round-robin, by any free connection. */
  readonly requests: readonly Request[];
  readonly connections: number;
  readonly seconds: number;
  /** Maximum calls per second over all connections; unlimited when absent. */
  readonly callsPerSecond?: number;
}

export interface LoadResult {
  /** Answered with 200. */
  readonly ok: number;
  /** Answered with another status, by status. */
  readonly refused: Readonly<Record<number, number>>;
  /** Not answered: connection errors and timeouts. Calls are never retried. */
  readonly lost: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of generating the load, in milliseconds. */
  readonly loaderCpuMs: number;
  /** When the load began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** The orders in the answers, each with its request time in milliseconds since 1970. */
  readonly orders: readonly (readonly [orderId: string, requestedAt: number])[];
}

/** `12 with 429, 1 with 503`; `0` when all were answered with 200. */
export function refusalsOf({ refused }: Pick<LoadResult, "refused">): string {
  const counts = Object.entries(refused).map(([status, count]) => `${count} with ${status}`);
  return counts.join(", ") || "0";
}

/** Puts a load on a server from a separate process. */
export async function load(task: Load): Promise<LoadResult> {
  return await runPart<LoadResult>("load", task);
}

const tickMs = 5;

/** The process that generates the load. */
export async function generateLoad(): Promise<void> {
  const { url, requests, connections, seconds, callsPerSecond } = await taskOf<Load>();
  const target = new URL(url);
  const made = requests.map((request) => toBytes(request, target.host));
  const latenciesMs: number[] = [];
  const orders: [string, number][] = [];
  const refused: Record<number, number> = {};
  let lost = 0;
  let sent = 0;
  const free = new Set<KeepAliveConnection>();

  function answered({ status, body }: Answer, tookMs: number): void {
    if (status !== 200) {
      refused[status] = (refused[status] ?? 0) + 1;
      return;
    }
    latenciesMs.push(tookMs);
    const orderId = orderIdField.exec(body)?.[1];
    if (orderId !== undefined) orders.push([orderId, Date.now() - tookMs]);
  }
  function sendNext(connection: KeepAliveConnection): void {
    free.delete(connection);
    connection.send(made[sent++ % made.length]!, answered);
  }

  const cpuBefore = process.cpuUsage();
  const [startedAt, begun] = [Date.now(), performance.now()];
  const all = Array.from({ length: connections }, () => {
    return new KeepAliveConnection(target, {
      free: callsPerSecond === undefined ? sendNext : (connection) => void free.add(connection),
      broken(connection, isCallLost) {
        free.delete(connection);
        if (isCallLost) lost++;
      },
    });
  });
  const ticking = setInterval(() => {
    for (const connection of all) connection.giveUpWhatIsLate();
    if (callsPerSecond === undefined) return;
    // Calls delayed for lack of a free connection are sent later, within a backlog of at most a second.
    const due = Math.min(((performance.now() - begun) * callsPerSecond) / 1000, sent + callsPerSecond);
    for (const connection of free) {
      if (sent >= due) break;
      sendNext(connection);
    }
  }, tickMs);
  await delay(seconds * 1000);
  clearInterval(ticking);
  for (const connection of all) connection.close();

  const tookSeconds = (performance.now() - begun) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  latenciesMs.sort((a, b) => a - b);
  const result: LoadResult = {
    ok: latenciesMs.length,
    refused,
    lost,
    perSecond: latenciesMs.length / tookSeconds,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    loaderCpuMs: (cpu.user + cpu.system) / 1000,
    startedAt,
    orders,
  };
  process.send!(result);
}

function toBytes({ method, path, headers = {}, body = "" }: Request, host: string): Buffer {
  const length = method === "GET" ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const fields = Object.entries({ host, ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${fields.join("")}\r\n${body}`);
}
