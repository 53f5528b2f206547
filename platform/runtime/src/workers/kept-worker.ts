import cluster, { type Worker } from "node:cluster";
import { type Logger, RestartDelay } from "@shop/core";
import type { Ports } from "../host-process.ts";
import type { MetricValues } from "../metrics/metrics.ts";
import { closeHandedOver } from "./handed-over.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** A worker process, restarted when it dies. */
export interface KeptWorker {
  readonly number: number;
  /**
   * Resolves when it is ready for the first time. Rejects with a StartFailed if it exits before: a retry would fail the same
   * way.
   */
  start(): Promise<Ports>;
  /** Its metrics; undefined if it does not answer within two seconds, or does not run. */
  metrics(): Promise<MetricValues | undefined>;
  /** Drains it, and resolves when it has exited. */
  stop(): Promise<void>;
}

/** A worker could not start, and has reported the reason. */
export class StartFailed extends Error {
  readonly exitCode: number;

  constructor(worker: number, exitCode: number) {
    super(`worker ${worker} could not start`);
    this.exitCode = exitCode;
  }
}

const metricsTimeoutMs = 2_000;

/** Keeps one worker running: a process with the same program as this one, and a number. */
export function keepWorker(number: number, generatedSecret: string, log: Logger): KeptWorker {
  const firstReady = Promise.withResolvers<Ports>();
  firstReady.promise.catch(() => {}); // After stop() nothing awaits it.
  const stopped = Promise.withResolvers<void>();
  let worker: Worker | undefined;
  let isStopping = false;
  let wasReady = false;
  const restartDelay = new RestartDelay();
  let retry: NodeJS.Timeout | undefined;
  let asked: PromiseWithResolvers<MetricValues | undefined> | undefined;

  function spawn(): void {
    const startedAt = performance.now();
    let isReady = false;
    const spawned = cluster.fork();
    worker = spawned;
    closeHandedOver(spawned.process);
    send({ kind: "start", number, generatedSecret });
    spawned.on("message", (message: FromWorker) => {
      if (message.kind === "metrics") asked?.resolve(message.values);
      if (message.kind !== "ready") return;
      isReady = wasReady = true;
      log.info({ worker: number, pid: spawned.process.pid }, "a worker is ready");
      firstReady.resolve(message.ports);
    });
    spawned.once("exit", (code: number | null, signal: string | null) =>
      ended(spawned, code, signal ?? `code ${code}`, performance.now() - startedAt, isReady),
    );
    // The process could not be spawned.
    spawned.once("error", (error) => ended(spawned, null, error.message, 0, false));
  }

  function send(message: ToWorker): void {
    // A closed channel belongs to a worker that has exited, or is about to.
    worker?.send(message, () => {});
  }

  function ended(which: Worker, code: number | null, how: string, afterMs: number, isReady: boolean): void {
    if (worker !== which) return;
    worker = undefined;
    asked?.resolve(undefined);
    const facts = { worker: number, pid: which.process.pid, how };
    if (isStopping) {
      if (code !== 0) log.error(facts, "a worker died while it drained");
      stopped.resolve();
      return;
    }
    if (!wasReady && code !== null && code > 0) {
      firstReady.reject(new StartFailed(number, code));
      return;
    }
    const waitMs = restartDelay.afterDeath(isReady, afterMs);
    log.error({ ...facts, restart_ms: waitMs }, "a worker died, restarting it");
    retry = setTimeout(spawn, waitMs);
  }

  return {
    number,
    async start() {
      if (!isStopping) spawn();
      return await firstReady.promise;
    },
    async metrics() {
      if (worker === undefined) return undefined;
      if (asked === undefined) {
        const request = Promise.withResolvers<MetricValues | undefined>();
        asked = request;
        const timer = setTimeout(() => request.resolve(undefined), metricsTimeoutMs);
        void request.promise.then(() => {
          clearTimeout(timer);
          asked = undefined;
        });
        send({ kind: "read_metrics" });
      }
      return await asked.promise;
    },
    async stop() {
      isStopping = true;
      clearTimeout(retry);
      if (worker === undefined) return;
      send({ kind: "stop" });
      await stopped.promise;
    },
  };
}
