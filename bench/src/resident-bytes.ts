import { readFileSync } from "node:fs";

/** Memory that a process holds, in bytes; NaN where there is no /proc. */
export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)![1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
