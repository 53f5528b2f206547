import cluster from "node:cluster";
import { createLogger, newSecret } from "@shop/core";
import { metricsOfWorkers } from "../metrics/metrics.ts";
import { serveMetrics } from "../metrics/metrics-server.ts";
import type { PlatformConfig } from "../platform-config.ts";
import { type KeptWorker, keepWorker } from "./kept-worker.ts";

/**
 * Runs this program in `WORKERS` worker processes, which share its ports: this process distributes connections to them in turn.
 * Rejects with a StartFailed if one can't start, or if `signal` fires before all are ready; then none is left running.
 */
export async function startWorkers(settings: PlatformConfig, signal: AbortSignal): Promise<{ close(): Promise<void> }> {
  const log = createLogger(settings.LOG_LEVEL);
  const generatedSecret = newSecret();
  // Metric values may be NaN or Infinity, which JSON can't represent.
  cluster.setupPrimary({ serialization: "advanced" });
  const workers = Array.from({ length: settings.WORKERS }, (_, index) => keepWorker(index + 1, generatedSecret, log));
  const stop = async () => void (await Promise.all(workers.map((worker) => worker.stop())));
  try {
    const ports = await unlessAborted(startAll(workers), signal);
    const scrape = metricsOfWorkers(workers, { exemplars: settings.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined });
    const metricsServer =
      settings.METRICS_PORT === undefined
        ? undefined
        : await serveMetrics(scrape, settings.METRICS_HOST, settings.METRICS_PORT, log);
    log.info({ ports }, "ready");
    return {
      async close() {
        log.info("draining");
        await stop();
        await metricsServer?.close();
        log.info("drained");
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first one alone: it creates shared resources, such as indexes and streams, and reports errors only once. */
async function startAll([first, ...others]: readonly KeptWorker[]) {
  const ports = await first!.start();
  await Promise.all(others.map((worker) => worker.start()));
  return ports;
}

async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
