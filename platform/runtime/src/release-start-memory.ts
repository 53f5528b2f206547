import { Session } from "node:inspector/promises";
import { performance } from "node:perf_hooks";

const defaultEveryMs = 5_000;
const maxTries = 12;
/** The event loop of an idle process is busy for at most this part of the time. */
const idleUtilization = 0.1;

/**
 * Gives the memory that the start took back to the system, once the process is idle: mostly that of V8's young generation, which
 * grows up to 128 MiB while modules are loaded. The collection takes about a tenth of a second, in which no call is answered.
 * A process that is busy for its first minute keeps the memory: the collection also drops compiled code, and after a load the
 * same calls took a third more processor time for some seconds.
 */
export function releaseStartMemory(everyMs = defaultEveryMs): void {
  let tries = 0;
  let since = performance.eventLoopUtilization();
  const timer = setInterval(() => {
    const { utilization } = performance.eventLoopUtilization(since);
    since = performance.eventLoopUtilization();
    const isIdle = utilization <= idleUtilization;
    if (isIdle || ++tries === maxTries) clearInterval(timer);
    if (isIdle) void collect().catch((error: Error) => process.emitWarning(error));
  }, everyMs);
  timer.unref();
}

/** A collection as for lack of memory. Node has no other public way to it. */
async function collect(): Promise<void> {
  const session = new Session();
  session.connect();
  try {
    await session.post("HeapProfiler.collectGarbage");
  } finally {
    session.disconnect();
  }
}
