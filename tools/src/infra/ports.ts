import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { replaceFile } from "../replace-file.ts";

/** Below the ephemeral port range, so that the port of a restarting server is still free. */
const lowestPort = 20_000;
const highestPort = 32_000;

/**
 * Whether a server could listen on `port` now: no process does, on loopback, on all addresses, on IPv6 or on `own`.
 * @throws Error (EACCES) when the port is privileged.
 */
export async function isFree(port: number, own = "127.0.0.1"): Promise<boolean> {
  // A wildcard listener and a loopback listener can coexist on some systems, so each address is tried.
  for (const host of new Set(["127.0.0.1", "0.0.0.0", "::", own])) {
    const problem = await listenProblem(port, host);
    if (problem === "EADDRINUSE") return false;
    if (problem === "EACCES") throw Object.assign(new Error(`port ${port} needs more rights`), { code: problem });
  }
  return true;
}

/** The code of the error of listening there; undefined when it is possible. Port 0 means any. */
export function listenProblem(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/**
 * Free ports for each name, as many as wanted: those of the last start if they are still free, so that data which holds
 * an address stays valid, else new ones. A server that already listens somewhere is never adopted.
 * @param file stores the choice
 * @param avoid ports that are reserved for other processes
 */
export async function choosePorts(
  file: string,
  wanted: Readonly<Record<string, number>>,
  avoid: readonly number[] = [],
): Promise<Record<string, number[]>> {
  const remembered = readRemembered(file);
  const chosen: Record<string, number[]> = {};
  const taken = new Set(avoid);
  for (const [name, count] of Object.entries(wanted)) {
    const before = remembered[name] ?? [];
    const ports = before.length === count && (await allUsable(before, taken)) ? before : await freePorts(count, taken);
    for (const port of ports) taken.add(port);
    chosen[name] = ports;
  }
  replaceFile(file, `${JSON.stringify({ ...remembered, ...chosen }, null, 2)}\n`);
  return chosen;
}

async function allUsable(ports: readonly number[], taken: ReadonlySet<number>): Promise<boolean> {
  for (const port of ports) {
    if (taken.has(port) || !(await isFree(port))) return false;
  }
  return true;
}

async function freePorts(count: number, taken: ReadonlySet<number>): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    // Random, so that two starters at the same moment rarely choose the same.
    const port = lowestPort + Math.floor(Math.random() * (highestPort - lowestPort));
    if (!taken.has(port) && !found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

function readRemembered(file: string): Record<string, number[]> {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Record<string, number[]>;
  } catch {
    return {}; // the first start
  }
}
