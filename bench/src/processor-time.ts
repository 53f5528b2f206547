import { readFileSync } from "node:fs";
import { withWorkers } from "./with-workers.ts";

/** Linux counts in ticks of 10 ms for every program. */
const tickMs = 10;

/** Processor time of a process and of its workers, in milliseconds; NaN where there is no /proc. */
export function processorTimeOfAllMs(pid: number): number {
  return withWorkers(pid)
    .map(processorTimeMs)
    .reduce((a, b) => a + b);
}

/** Processor time that a process has used so far, in milliseconds; NaN where there is no /proc. */
export function processorTimeMs(pid: number): number {
  try {
    // The fields after the name, which may contain anything and ends with the last parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * tickMs;
  } catch {
    return Number.NaN;
  }
}
