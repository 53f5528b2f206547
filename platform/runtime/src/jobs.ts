import { setTimeout as delay } from "node:timers/promises";
import { exponentialBackoff, inNewTrace, type Job, type Logger } from "@shop/core";
import { isDependencyLost } from "@shop/messaging";

/** The longest delay between attempts of a failing job. */
const maxBackoffMs = 3_000;

/**
 * Starts a job. A failed run is logged and retried. Returns a function that stops the job, and resolves when its last run has
 * ended.
 */
export function startJob(job: Job, log: Logger): () => Promise<void> {
  const stop = new AbortController();
  let failures = 0;
  const ended = (async () => {
    while (!stop.signal.aborted) {
      try {
        await inNewTrace(`job ${job.name}`, {}, async () => {
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
