import { readFileSync } from "node:fs";
import { withWorkers } from "./with-workers.ts";

/** Linux counts processor time in ticks of 10 ms. */
const tickMs = 10;

/** Processor time of a process and of its workers, in milliseconds; NaN without /proc. */
export function processorTimeOfAllMs(pid: number): number {
  return withWorkers(pid)
    .map(processorTimeMs)
    .reduce((a, b) => a + b);
}

/** Processor time of a process so far, in milliseconds; NaN without /proc. */
export function processorTimeMs(pid: number): number {
  try {
    // The fields after the name, which may contain any character and ends with the last parenthesis.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * tickMs;
  } catch {
    return Number.NaN;
  }
}
