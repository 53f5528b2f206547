import { readFileSync } from "node:fs";
import { withWorkers } from "./with-workers.ts";

/** Memory that a process and its workers hold, in bytes; NaN where there is no /proc. */
export function residentBytesOfAll(pid: number): number {
  return withWorkers(pid)
    .map(residentBytes)
    .reduce((a, b) => a + b);
}

/** Memory that a process holds, in bytes; NaN where there is no /proc. */
export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)![1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
