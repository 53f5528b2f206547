import autocannon from "autocannon";
import { askPart, taskOf } from "./part.ts";
import { percentile } from "./percentile.ts";

/** In REST's spelling and in Connect's. */
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
  /** Shared out among the connections, which take theirs in turn; one connection takes one at least. */
  readonly requests: readonly Request[];
  readonly connections: number;
  readonly seconds: number;
  /** Calls a second at most, over all connections; as many as are answered when absent. */
  readonly callsPerSecond?: number;
}

export interface LoadResult {
  /** Answered with 200. */
  readonly ok: number;
  /** Answered with anything else, by status. */
  readonly refused: Readonly<Record<number, number>>;
  /** Not answered: connection errors and timeouts. Nothing is sent again. */
  readonly lost: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time that making the load took, in milliseconds. */
  readonly loaderCpuMs: number;
  /** When the load began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** The orders that answers named, each with when it was asked for, in milliseconds since 1970. */
  readonly orders: readonly (readonly [orderId: string, requestedAt: number])[];
}

/** `12 with 429, 1 with 503`; `0` when all were answered with 200. */
export function refusalsOf({ refused }: Pick<LoadResult, "refused">): string {
  const counts = Object.entries(refused).map(([status, count]) => `${count} with ${status}`);
  return counts.join(", ") || "0";
}

/** Puts a load on a server from a process of its own. */
export async function load(task: Load): Promise<LoadResult> {
  return await askPart<LoadResult>("load", task);
}

/** The process that makes the load. */
export async function generateLoad(): Promise<void> {
  const { url, requests, connections, seconds, callsPerSecond } = await taskOf<Load>();
  const latenciesMs: number[] = [];
  const orders: [string, number][] = [];
  const lastBody = new WeakMap<object, string>();
  const refused: Record<number, number> = {};
  let next = 0;
  const cpuBefore = process.cpuUsage();
  const startedAt = Date.now();
  const run = autocannon({
    url,
    connections,
    duration: seconds,
    ...(callsPerSecond === undefined ? {} : { overallRate: callsPerSecond }),
    setupClient(client) {
      const first = next++ % requests.length;
      // All of them over all connections: every connection with all of its own would take seconds to prepare.
      client.setRequests(requests.filter((_request, index) => index % connections === first % connections));
      client.on("body", (body) => void lastBody.set(client, body.toString()));
    },
  });
  run.on("response", (client, status, _bytes, latencyMs) => {
    if (status === 200) latenciesMs.push(latencyMs);
    else refused[status] = (refused[status] ?? 0) + 1;
    const orderId = lastBody.get(client)?.match(orderIdField)?.[1];
    if (status === 200 && orderId !== undefined) orders.push([orderId, Date.now() - latencyMs]);
  });
  const { duration, errors } = await run;
  const cpu = process.cpuUsage(cpuBefore);
  latenciesMs.sort((a, b) => a - b);
  const result: LoadResult = {
    ok: latenciesMs.length,
    refused,
    lost: errors,
    perSecond: latenciesMs.length / duration,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    loaderCpuMs: (cpu.user + cpu.system) / 1000,
    startedAt,
    orders,
  };
  process.send!(result);
}
