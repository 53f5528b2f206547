import { readFileSync } from "node:fs";
import { withWorkers } from "./with-workers.ts";

/** Resident memory of a process and its workers, in bytes; NaN without /proc. */
export function residentBytesOfAll(pid: number): number {
  return withWorkers(pid)
    .map(residentBytes)
    .reduce((a, b) => a + b);
}

/** Resident memory of a process, in bytes; NaN without /proc. */
export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB$/m)![1]) * 1024;
  } catch {
    return Number.NaN;
  }
}

/**
 * Resident memory of a process in bytes, of which each page that processes share counts in equal parts for each of them, such as
 * those of Node's executable; NaN without /proc.
 */
export function proportionalBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8").match(/^Pss:\s+(\d+) kB$/m)![1]) * 1024;
  } catch {
    return Number.NaN;
  }
}
