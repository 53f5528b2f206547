import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Distinguishes a process from a later one with the same pid: its start time, as the system reports it.
 * @returns undefined when no such process runs (a zombie does not run).
 */
export function processStamp(pid: number): string | undefined {
  return process.platform === "linux" ? linuxStamp(pid) : psStamp(pid);
}

function linuxStamp(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name (field 2) may contain spaces and parentheses: count from the last ")". See proc_pid_stat(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === "Z" || state === "X") return undefined;
    // Ticks count from boot, so the boot id is part of the stamp.
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8)}:${startTicks}`;
  } catch {
    return undefined;
  }
}

function psStamp(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return line === "" || line.startsWith("Z") ? undefined : line.replace(/^\S+\s+/, "");
  } catch {
    return undefined;
  }
}
