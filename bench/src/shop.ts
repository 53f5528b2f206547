import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { choosePorts } from "@shop/tools/infra";
import { defaultPorts } from "@shop/topology";

const repositoryRoot = resolve(import.meta.dirname, "../..");
const readyTimeoutMs = 120_000;

export const admin = { username: "admin", password: "bench-bench-bench" };

/** A shop run by `npm start`, on its own ports and data. */
export interface Shop {
  /** Of the gateway. */
  readonly url: string;
  readonly dataDir: string;
  /** From the command to the first 200 of `/readyz`. */
  readonly readyMs: number;
  pidOf(process: string): number;
  /** Undefined while it does not run. */
  findPid(process: string): number | undefined;
  portsOf(process: string): readonly number[];
  /** The URI of this shop's database. */
  mongoUrl(): string;
  /** Resolves once the starter is done: on empty data, after the sample catalogue was loaded. */
  settled(): Promise<void>;
  /** Sends Ctrl-C; resolves when the starter has ended. */
  stop(): Promise<void>;
}

interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly ports: readonly number[];
}

/** Starts the shop, by default in one process, with the data in `dataDir` and additional settings. */
export async function startShop(
  dataDir: string,
  settings: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<Shop> {
  const names = Object.keys(defaultPorts);
  const chosen = await choosePorts(
    join(dataDir, "bench-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  const ports = Object.fromEntries(names.map((name) => [name, String(chosen[name]![0])]));
  const logFile = join(dataDir, "bench-start.log");
  const log = openSync(logFile, "w");
  const startedAt = performance.now();
  const starter = spawn("npm", ["start", "--", ...flags], {
    cwd: repositoryRoot,
    env: {
      ...process.env,
      ...ports,
      DATA_DIR: dataDir,
      ADMIN_USERNAME: admin.username,
      ADMIN_PASSWORD: admin.password,
      // All of its shoppers have one client address.
      AUTH_RATE_PER_MINUTE: "1000000",
      // One address represents all customers, and few accounts represent many.
      PASSWORD_HASHES_PER_NETWORK: "0",
      ORDER_LINES_PER_ACCOUNT: "0",
      ORDER_LINES_PER_NETWORK: "0",
      MAX_OPEN_UNITS_PER_ACCOUNT: "0",
      MAX_OPEN_UNITS_PER_PRODUCT: "0",
      ...settings,
    },
    stdio: ["ignore", log, log],
  });
  const exited = once(starter, "exit");

  const said = () => readFileSync(logFile, "utf8");
  async function until(what: string, check: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = performance.now() + readyTimeoutMs;
    while (!(await check())) {
      if (starter.exitCode !== null || performance.now() > deadline) throw new Error(`${what}: not so.\n${said()}`);
      await delay(10);
    }
  }

  const url = `http://127.0.0.1:${ports.GATEWAY_PORT}`;
  await until("the shop is ready", async () => {
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.status === 200;
  });
  const readyMs = performance.now() - startedAt;

  function find(name: string): RunningProcess | undefined {
    const { processes } = JSON.parse(readFileSync(join(dataDir, "run.json"), "utf8")) as {
      processes: readonly RunningProcess[];
    };
    return processes.find((candidate) => candidate.name === name);
  }
  function processOf(name: string): RunningProcess {
    const found = find(name);
    if (found === undefined) throw new Error(`no ${name} runs`);
    return found;
  }

  return {
    url,
    dataDir,
    readyMs,
    pidOf: (name) => processOf(name).pid,
    findPid: (name) => find(name)?.pid,
    portsOf: (name) => processOf(name).ports,
    mongoUrl: () => JSON.parse(readFileSync(join(dataDir, "operator.json"), "utf8")).MONGODB_URI,
    settled: () => until("the starter is done", () => said().includes("Ctrl-C stops everything")),
    async stop() {
      process.kill(processOf("supervisor").pid, "SIGINT");
      await exited;
    },
  };
}
