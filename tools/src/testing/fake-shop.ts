import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultPorts } from "@shop/topology";
import { onTestFinished } from "vitest";
import { choosePorts } from "../infra/index.ts";
import type { RunEntry } from "../run-file.ts";
import { openRunFile } from "../run-file.ts";
import { stopStale } from "../stale.ts";
import { waitUntil } from "../wait.ts";

/** A starter in its own process, with the fake service. */
export interface FakeShop {
  readonly pid: number;
  readonly ports: Readonly<Record<string, number>>;
  readonly child: ChildProcess;
  /** Its output so far. */
  readonly output: () => string;
  /** The current content of its run.json. */
  readonly running: () => readonly RunEntry[];
  readonly entry: (name: string) => RunEntry | undefined;
  readonly untilPrinted: (text: string) => Promise<void>;
  /** Resolves with the exit code (or the signal's name). */
  readonly exited: Promise<number | string>;
}

/** Servers "of the environment", for tests that need none, so that none is started. */
export const noServers = {
  MONGODB_URI: "mongodb://127.0.0.1:1",
  REDIS_URL: "redis://127.0.0.1:1",
  NATS_URL: "nats://127.0.0.1:1",
};

/** Ports of the shop that are free now. */
export async function freeShopPorts(dataDir: string): Promise<Record<string, number>> {
  const names = Object.keys(defaultPorts);
  const chosen = await choosePorts(
    join(dataDir, "test-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  return Object.fromEntries(names.map((name) => [name, chosen[name]![0]!]));
}

/** Starts it on free ports; its remaining processes are stopped at the end of the test. */
export async function startFakeShop(
  dataDir: string,
  env: NodeJS.ProcessEnv = {},
  flags: readonly string[] = [],
): Promise<FakeShop> {
  const ports = await freeShopPorts(dataDir);
  const child = spawn(process.execPath, [join(import.meta.dirname, "fake-start.ts"), ...flags], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env.PATH,
      DATA_DIR: dataDir,
      ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
      ...env,
    },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  const exited = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
    await stopStale(openRunFile(join(dataDir, "run.json")), () => {});
  });

  const runFile = join(dataDir, "run.json");
  const running = () =>
    existsSync(runFile) ? (JSON.parse(readFileSync(runFile, "utf8")).processes as RunEntry[]) : [];
  return {
    pid: child.pid!,
    ports,
    child,
    output: () => output,
    running,
    entry: (name) => running().find((entry) => entry.name === name),
    exited,
    async untilPrinted(text) {
      await waitUntil(() => output.includes(text), {
        what: `"${text}" is printed; so far:\n${output}`,
        timeoutMs: 20_000,
      }).catch((error) => {
        throw new Error(`${error.message}\n${output}`);
      });
    },
  };
}
