import { readFileSync } from "node:fs";

/** A process and its workers; only itself without /proc. */
export function withWorkers(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
    return [pid, ...children.filter((child) => child !== "").map(Number)];
  } catch {
    return [pid];
  }
}
