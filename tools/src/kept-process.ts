import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { accepts, type LocalAddress } from "./infra/tcp.ts";
import type { RunFile } from "./run-file.ts";

/** A process to run, and to run again when it dies. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment of the process. There is no default: the starter's own holds secrets. */
  readonly env: NodeJS.ProcessEnv;
  /** The TCP ports it listens on, for run.json. */
  readonly ports: readonly number[];
  /** Where it takes connections once it is ready; by default on its ports on 127.0.0.1. */
  readonly addresses?: readonly LocalAddress[];
  /** Its stdout and stderr are appended here. */
  readonly logFile: string;
  /** Sees every line of its output too. Without it the process writes to the file by itself. */
  readonly onLine?: (line: string) => void;
}

export interface Keeping {
  readonly runFile: RunFile;
  readonly log: (line: string) => void;
  /** Whether a process that dies unasked is started again; "once ready": only if it was ready, as trying again would not help. */
  readonly restart: boolean | "once ready";
  /** Once aborted, nothing is started again: everything is being stopped. */
  readonly signal?: AbortSignal | undefined;
}

/** A process that was started, or is about to be started again. */
export interface KeptProcess {
  readonly name: string;
  readonly ports: readonly number[];
  readonly logFile: string;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** How often it died unasked. */
  readonly deaths: number;
  /** When it last said in its log (`"progress": true`) that its start takes long and goes on, as Date.now(); undefined if it did not. */
  readonly progressAt: number | undefined;
  /** Starts it unless it runs. Resolves once it is spawned; rejects when it cannot be. */
  start(): Promise<void>;
  /** Asks it to stop, kills it after `graceMs`, and does not start it again. Safe to repeat. */
  stop(graceMs: number): Promise<void>;
  /** Sends a signal and changes nothing else: what dies of it is started again, if `restart` says so. */
  kill(signal: NodeJS.Signals): void;
}

const firstBackoffMs = 200;
const longestBackoffMs = 5_000;
/** One that had served is started again at once, but not more often than this. */
const shortestLifeMs = 500;
const probeEveryMs = 50;

/** Every child of this process, so that none outlives it, however it exits (SIGKILL excepted: see stale.ts). */
const living = new Set<ChildProcess>();
process.on("exit", killEverything);

/** Kills every kept process of this one at once. */
export function killEverything(): void {
  for (const child of living) child.kill("SIGKILL");
}

/**
 * Describes a process that `start` runs in its own process group (a Ctrl-C in the terminal does not reach it), recorded
 * in run.json for as long as it runs. One that dies after it was ready is started again at once. One that dies before is
 * started again after 0.2 s, and twice as long after each such death in a row, 5 s at most: trying again may not help.
 */
export function keepProcess(spec: ProcessSpec, { runFile, log, restart, signal }: Keeping): KeptProcess {
  let child: ChildProcess | undefined;
  let exited: Promise<void> = Promise.resolve();
  let wanted = false;
  let deaths = 0;
  let progressAt: number | undefined;
  let deathsBeforeReady = 0;
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
    deathsBeforeReady = wasReady ? 0 : deathsBeforeReady + 1;
    if (!restart || signal?.aborted) {
      log(`${spec.name}: died (${how})`);
      return;
    }
    if (restart === "once ready" && !wasReady) {
      log(`${spec.name}: died (${how}) before it was ready, waiting for the next save`);
      return;
    }
    const waitMs = wasReady
      ? Math.max(0, shortestLifeMs - afterMs)
      : Math.min(firstBackoffMs * 2 ** (deathsBeforeReady - 1), longestBackoffMs);
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
 * Notices when a process that was just started takes connections at all of these addresses. It must have been seen not to:
 * another process that listens there already, and of which this one is about to die, would pass for it.
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

/** The last `count` lines that a process wrote, for a person who has to find out why it does not start. */
export function lastLines(kept: KeptProcess, count = 12): string {
  try {
    return readFileSync(kept.logFile, "utf8").trimEnd().split("\n").slice(-count).join("\n");
  } catch {
    return "(no output)";
  }
}
