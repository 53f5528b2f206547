import { setTimeout as delay } from "node:timers/promises";
import { exponentialBackoff, inTrace, type Job, type Logger } from "@shop/core";
import { isDependencyLost } from "@shop/messaging";

/** A job that fails again and again is tried at least this often. */
const maxBackoffMs = 3_000;

/** Starts a job; the answer stops it and resolves when its last run has ended. A run that fails is logged and tried again. */
export function startJob(job: Job, log: Logger): () => Promise<void> {
  const stop = new AbortController();
  let failures = 0;
  const ended = (async () => {
    while (!stop.signal.aborted) {
      try {
        await inTrace(undefined, async () => {
          if (job.lease === undefined || (await job.lease.acquire())) await job.run(stop.signal);
        });
        failures = 0;
      } catch (error) {
        failures++;
        if (isDependencyLost(error)) log.warn({ job: job.name, err: error }, "job waits for a dependency");
        else if (!stop.signal.aborted) log.error({ job: job.name, err: error }, "job failed");
        await job.lease?.release().catch(() => {});
      }
      const backoff = { firstMs: job.intervalMs, longestMs: Math.max(job.intervalMs, maxBackoffMs) };
      await delay(exponentialBackoff(failures + 1, backoff), undefined, { signal: stop.signal }).catch(() => {});
    }
    await job.lease?.release().catch(() => {});
  })();
  return async () => {
    stop.abort();
    await ended;
  };
}
