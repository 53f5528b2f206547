import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { choosePorts, isFree } from "@shop/tools/infra";
import {
  defaultPorts,
  metricsOffset,
  portVariable,
  processNames,
  type ServiceName,
  serviceNames,
  urlVariable,
} from "@shop/topology";
import type { TestProject } from "vitest/node";
import { eventually } from "../e2e/eventually.ts";
import { leakedSecrets } from "./leaked-secrets.ts";
import { ownEnvironment } from "./own-environment.ts";
import { privateKeysIn } from "./service-credentials.ts";

const repositoryRoot = join(import.meta.dirname, "../..");
const startTimeoutMs = 180_000;
const stopTimeoutMs = 60_000;

/** The password of all test accounts. */
export const password = "correct horse battery staple";

/** The services' own ports: `ordersUrl`. */
type ServiceUrls = { readonly [Name in ServiceName as `${Name}Url`]: string };

/** A shop that runs for the tests of one project. */
export interface RunningShop extends ServiceUrls {
  readonly topology: "all-in-one" | "split";
  /** The public port. */
  readonly url: string;
  /** The metrics URL of each process. */
  readonly metricsUrls: readonly string[];
  /** A free port: CORS permits pages of `http://localhost` with this port, as it does those of web.example. */
  readonly pagePort: number;
  /** Where the processes send traces. A call is sampled if it asks for that, and no other work is. */
  readonly tracesPort: number;
  readonly dataDir: string;
  readonly admin: { readonly username: string; readonly password: string };
}

/** The URLs of the services, for a process that calls them: `ORDERS_URL`. */
export function urlsOf(shop: ServiceUrls): Record<string, string> {
  return Object.fromEntries(serviceNames.map((name) => [urlVariable(name), shop[`${name}Url`]]));
}

declare module "vitest" {
  interface ProvidedContext {
    shop: RunningShop;
  }
}

/** A process of run.json. */
export interface RunEntry {
  readonly name: string;
  readonly pid: number;
  readonly ports: readonly number[];
}

/** The current content of a shop's run.json. */
export function runningProcesses(dataDir: string): readonly RunEntry[] {
  const file = join(dataDir, "run.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { processes: RunEntry[] }).processes : [];
}

/** The URLs of a shop's servers, with the credentials of their operator. */
export function operatorUrls(dataDir: string): {
  readonly MONGODB_URI: string;
  readonly REDIS_URL: string;
  readonly NATS_URL: string;
} {
  return JSON.parse(readFileSync(join(dataDir, "operator.json"), "utf8"));
}

/** Whether a process of that id runs. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

const services = new Set(["all-in-one", ...processNames]);

/** Makes the services collect garbage. */
export function collectGarbage(dataDir: string): void {
  for (const { name, pid } of runningProcesses(dataDir)) if (services.has(name)) process.kill(pid, "SIGUSR2");
}

/** The secrets in the services' logs. */
function secretsLogged({ dataDir, admin }: RunningShop): string[] {
  const secrets = {
    "the administrator's password": admin.password,
    "a shopper's": password,
    ...Object.fromEntries(
      Object.entries(privateKeysIn(dataDir)).map(([owner, { d }]) => [`the private key of ${owner}`, d]),
    ),
  };
  const logs = globSync(join(dataDir, `logs/{${[...services]}}.log`));
  if (logs.length === 0) return ["no service has written a log"];
  return logs.flatMap((file) =>
    leakedSecrets(readFileSync(file, "utf8"), secrets).map((leak) => `${basename(file)}, ${leak}`),
  );
}

const metricsOffsets = processNames.map(metricsOffset);

/** The first of as many consecutive free ports as the split topology has processes; below the ports that other code chooses. */
async function chooseMetricsPort(): Promise<number> {
  for (;;) {
    const first = 16_000 + Math.floor(Math.random() * 3_600);
    const free = await Promise.all(metricsOffsets.map((offset) => isFree(first + offset)));
    if (free.every(Boolean)) return first;
  }
}

/** `npm start`, in the topology that the project's name ends in, on free ports and an empty folder. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const topology = project.name === "e2e-split" ? "split" : "all-in-one";
  const dataDir = await mkdtemp(join(tmpdir(), `shop-${topology}-`));
  const variables = Object.keys(defaultPorts);
  const chosen = await choosePorts(
    join(dataDir, "test-ports.json"),
    Object.fromEntries([...variables, "page", "traces"].map((name) => [name, 1])),
  );
  const ports = Object.fromEntries(variables.map((name) => [name, String(chosen[name]![0])]));
  const pagePort = chosen.page![0]!;
  const tracesPort = chosen.traces![0]!;
  const metricsPort = await chooseMetricsPort();
  const metricsPorts = topology === "split" ? metricsOffsets.map((offset) => metricsPort + offset) : [metricsPort];
  const shop: RunningShop = {
    topology,
    url: `http://127.0.0.1:${ports.GATEWAY_PORT}`,
    ...(Object.fromEntries(
      serviceNames.map((name) => [`${name}Url`, `http://127.0.0.1:${ports[portVariable(name)]}`]),
    ) as ServiceUrls),
    metricsUrls: metricsPorts.map((port) => `http://127.0.0.1:${port}/metrics`),
    pagePort,
    tracesPort,
    dataDir,
    admin: { username: "the.admin", password: randomBytes(12).toString("base64url") },
  };

  const starter = spawn(
    process.execPath,
    [join(repositoryRoot, "tools/src/start.mjs"), ...(topology === "split" ? ["--split"] : [])],
    {
      cwd: repositoryRoot,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...ownEnvironment(),
        ...ports,
        NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --import=${pathToFileURL(join(import.meta.dirname, "collect-on-signal.ts"))}`,
        METRICS_PORT: String(metricsPort),
        DATA_DIR: dataDir,
        ADMIN_USERNAME: shop.admin.username,
        ADMIN_PASSWORD: shop.admin.password,
        CORS_ORIGINS: `http://web.example,http://localhost:${pagePort}`,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${tracesPort}`,
        OTEL_TRACES_SAMPLER: "parentbased_always_off",
        TRACES_REQUESTED_PER_MINUTE: "1000000",
        // Debug logs must not contain secrets either.
        LOG_LEVEL: "debug",
        // Tests choose their client address where it matters.
        TRUSTED_PROXIES: "1",
        // For the test of an account that orders as much as it can.
        MAX_OPEN_UNITS_PER_ACCOUNT: "1500000",
        // A network has a quarter of it.
        BUFFERED_MIB: "16",
        // Continuously during all tests, which must not notice.
        TOKEN_KEY_SECONDS: "20",
      },
    },
  );
  let output = "";
  for (const stream of [starter.stdout, starter.stderr]) stream.on("data", (chunk) => (output += chunk));
  const exited = new Promise<string>((resolve) => {
    starter.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
  });
  let end: string | undefined;
  void exited.then((how) => (end = how));
  // The shop is stopped even if the test runner is killed.
  const stopWithRunner = () => void starter.kill("SIGTERM");
  process.once("exit", stopWithRunner);

  const seen = new Map<number, RunEntry>();
  const watch = setInterval(() => {
    for (const entry of runningProcesses(dataDir)) seen.set(entry.pid, entry);
  }, 100);

  async function stop(): Promise<void> {
    clearInterval(watch);
    process.off("exit", stopWithRunner);
    for (const entry of runningProcesses(dataDir)) seen.set(entry.pid, entry);
    starter.kill("SIGTERM");
    const deadline = setTimeout(() => starter.kill("SIGKILL"), stopTimeoutMs);
    const how = await exited;
    clearTimeout(deadline);
    const left = [...seen.values()].filter(({ pid }) => isAlive(pid));
    for (const { pid } of left) process.kill(pid, "SIGKILL");
    const problems = [
      ...(how === "code 0" ? [] : [`the starter ended with ${how}`]),
      ...left.map(({ name, pid }) => `${name} (pid ${pid}) was still there`),
      ...runningProcesses(dataDir).map(({ name }) => `run.json still lists ${name}`),
      ...secretsLogged(shop),
    ];
    if (problems.length > 0) throw new Error(`${project.name}: ${problems.join(", ")}\n${output}`);
    if (project.vitest.state.getCountOfFailedTests() === 0) {
      await rm(dataDir, { recursive: true, force: true });
      return;
    }
    // After a failure the logs are kept.
    for (const name of await readdir(dataDir)) {
      if (name !== "logs") await rm(join(dataDir, name), { recursive: true, force: true });
    }
    console.log(`${project.name}: its logs are in ${dataDir}/logs`);
  }

  try {
    await eventually(
      async () => {
        if (end !== undefined) throw new Error(`the starter ended with ${end}`);
        // The starter prints this once everything is up and the sample catalogue is loaded.
        if (!output.includes("The shop is open at")) throw new Error("the shop has not opened");
        const { status } = await fetch(`${shop.url}/readyz`);
        if (status !== 200) throw new Error(`readyz is ${status}`);
      },
      { timeoutMs: startTimeoutMs, hopeless: () => end !== undefined },
    );
  } catch (error) {
    await stop().catch(() => {});
    throw new Error(`${project.name}: ${(error as Error).message}\n${output}`);
  }
  project.provide("shop", shop);
  return stop;
}
