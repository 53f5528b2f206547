import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { RestartDelay } from "@shop/core/restart-delay";
import { accepts, type LocalAddress } from "./infra/tcp.ts";
import type { RunFile } from "./run-file.ts";

/** A process to run, and to restart when it dies. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment of the process. There is no default: the starter's own holds secrets. */
  readonly env: NodeJS.ProcessEnv;
  /** The TCP ports it listens on, for run.json. */
  readonly ports: readonly number[];
  /** The addresses at which it accepts connections once it is ready; by default its ports on 127.0.0.1. */
  readonly addresses?: readonly LocalAddress[];
  /** Its stdout and stderr are appended here. */
  readonly logFile: string;
  /** Gets every line of its output too. Without it the process writes to the file directly. */
  readonly onLine?: (line: string) => void;
}

export interface Keeping {
  readonly runFile: RunFile;
  readonly log: (line: string) => void;
  /** Whether a process that dies unexpectedly is restarted; "once ready": only if it was ready, as a retry would not help. */
  readonly restart: boolean | "once ready";
  /** Once aborted, no process is restarted: everything is being stopped. */
  readonly signal?: AbortSignal | undefined;
}

/** A process that was started, or is about to be restarted. */
export interface SupervisedProcess {
  readonly name: string;
  readonly ports: readonly number[];
  readonly logFile: string;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** The number of unexpected deaths. */
  readonly deaths: number;
  /**
   * The time of its last log line about the progress of a long start (`"progress": true`), as Date.now(); undefined without
   * one.
   */
  readonly progressAt: number | undefined;
  /** Starts it unless it runs. Resolves once it is spawned; rejects when spawning fails. */
  start(): Promise<void>;
  /** Sends SIGTERM, kills it after `graceMs`, and does not restart it. Safe to repeat. */
  stop(graceMs: number): Promise<void>;
  /** Sends a signal and changes nothing else: a process that dies of it is restarted, depending on `restart`. */
  kill(signal: NodeJS.Signals): void;
}

const probeEveryMs = 50;

/** Every child of this process, so that none outlives it, for any kind of exit (except SIGKILL: see stale.ts). */
const living = new Set<ChildProcess>();
process.on("exit", killEverything);

/** Kills every kept process of this one at once. */
export function killEverything(): void {
  for (const child of living) child.kill("SIGKILL");
}

/**
 * Describes a process that `start` runs in its own process group (a Ctrl-C in the terminal does not reach it), recorded
 * in run.json for as long as it runs. One that dies is started again as RestartDelay says.
 */
export function superviseProcess(spec: ProcessSpec, { runFile, log, restart, signal }: Keeping): SupervisedProcess {
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  let wanted = false;
  let deaths = 0;
  let progressAt: number | undefined;
  const restartDelay = new RestartDelay();
  let retry: NodeJS.Timeout | undefined;

  function start(): Promise<void> {
    wanted = true;
    clearTimeout(retry);
    if (child !== undefined) return Promise.resolve();
    mkdirSync(dirname(spec.logFile), { recursive: true, mode: 0o700 });
    const file = openSync(spec.logFile, "a", 0o600);
    const output = spec.onLine === undefined ? file : "pipe";
    const startedAt = performance.now();
    const spawned = spawn(spec.command, spec.args, {
      stdio: ["ignore", output, output],
      detached: true,
      env: spec.env,
      ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    });
    for (const stream of [spawned.stdout, spawned.stderr]) {
      if (stream === null) continue;
      stream.on("data", (chunk: Buffer) => writeSync(file, chunk));
      createInterface({ input: stream }).on("line", (line) => {
        if (line.startsWith("{") && line.includes('"progress":true')) progressAt = Date.now();
        spec.onLine?.(line);
      });
    }
    spawned.once("close", () => closeSync(file));
    if (spawned.pid === undefined) {
      return new Promise((_, reject) => {
        spawned.once("error", reject);
      });
    }

    child = spawned;
    living.add(spawned);
    const readiness = watchReadiness(spec.addresses ?? spec.ports.map((port) => ({ port })));
    runFile.add({ name: spec.name, pid: spawned.pid, ports: spec.ports });
    exited = new Promise((resolve) => {
      spawned.once("exit", (code, signal) => {
        child = undefined;
        living.delete(spawned);
        runFile.remove(spawned.pid!);
        const wasReady = readiness.end();
        if (wanted) died(wasReady, performance.now() - startedAt, signal ?? `code ${code}`);
        resolve();
      });
    });
    return Promise.resolve();
  }

  function died(wasReady: boolean, afterMs: number, how: string): void {
    deaths += 1;
    const waitMs = restartDelay.afterDeath(wasReady, afterMs);
    if (!restart || signal?.aborted) {
      log(`${spec.name}: died (${how})`);
      return;
    }
    if (restart === "once ready" && !wasReady) {
      log(`${spec.name}: died (${how}) before it was ready, waiting for the next save`);
      return;
    }
    log(`${spec.name}: died (${how}), starting it again${wasReady ? "" : ` in ${waitMs / 1000} s`}`);
    retry = setTimeout(() => {
      if (signal?.aborted) return;
      start().catch((error: Error) => died(false, 0, error.message));
    }, waitMs);
  }

  async function stop(graceMs: number): Promise<void> {
    wanted = false;
    clearTimeout(retry);
    const stopping = child;
    if (stopping === undefined) return;
    stopping.kill("SIGTERM");
    const lastResort = setTimeout(() => {
      log(`${spec.name}: still there after ${graceMs / 1000} s, killing it`);
      stopping.kill("SIGKILL");
    }, graceMs);
    await exited;
    clearTimeout(lastResort);
  }

  return {
    name: spec.name,
    ports: spec.ports,
    logFile: spec.logFile,
    get pid() {
      return child?.pid;
    },
    get deaths() {
      return deaths;
    },
    get progressAt() {
      return progressAt;
    },
    start,
    stop,
    kill: (signal) => {
      child?.kill(signal);
    },
  };
}

/**
 * Detects when a just started process accepts connections at all of these addresses. They must have refused before:
 * otherwise another process that already listens there, and makes this one fail, would be mistaken for it.
 */
function watchReadiness(addresses: readonly LocalAddress[]): { end(): boolean } {
  let wasRefused = false;
  let isReady = false;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  async function probe(): Promise<void> {
    const accepted = (await Promise.all(addresses.map(accepts))).every(Boolean);
    if (ended) return;
    isReady = wasRefused && accepted;
    wasRefused ||= !accepted;
    if (!isReady) timer = setTimeout(() => void probe(), probeEveryMs).unref();
  }
  void probe();
  return {
    end() {
      ended = true;
      clearTimeout(timer);
      return isReady;
    },
  };
}

/** The last `count` lines that a process wrote, to show why it does not start. */
export function lastLines(kept: SupervisedProcess, count = 12): string {
  try {
    return readFileSync(kept.logFile, "utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch {
    return "(no output)";
  }
}
