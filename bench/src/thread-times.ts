import { readFileSync } from "node:fs";

export interface ThreadTimes {
  /** On a core. */
  readonly ranMs: number;
  /** Ready to run, without a core. */
  readonly waitedMs: number;
}

/** Times of a process's main thread since its start, from Linux (Documentation/scheduler/sched-stats.rst). */
export function threadTimes(pid: number): ThreadTimes {
  const [ran, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ").map(Number);
  return { ranMs: ran! / 1e6, waitedMs: waited! / 1e6 };
}
