import { readFileSync } from "node:fs";
import { processStamp } from "./process-stamp.ts";
import { replaceFile } from "./replace-file.ts";

/** One process that was started for a data directory. */
export interface RunEntry {
  readonly name: string;
  /** The process itself, never a wrapper's. */
  readonly pid: number;
  /** The TCP ports it listens on. */
  readonly ports: readonly number[];
  /** See `processStamp`: a recorded pid is ours only while its stamp equals this one. */
  readonly stamp?: string | undefined;
}

/** `run.json`: the running processes of a data directory, on disk, always current. */
export interface RunFile {
  readonly processes: readonly RunEntry[];
  add(entry: Omit<RunEntry, "stamp">): void;
  remove(pid: number): void;
}

/** Opens the record at `path`, with the entries of an earlier run. */
export function openRunFile(path: string): RunFile {
  let processes: readonly RunEntry[] = readRunFile(path);

  function write(changed: readonly RunEntry[]): void {
    processes = changed;
    replaceFile(path, `${JSON.stringify({ processes }, null, 2)}\n`);
  }

  return {
    get processes() {
      return processes;
    },
    add: (entry) => write([...processes, { ...entry, stamp: processStamp(entry.pid) }]),
    remove: (pid) => write(processes.filter((entry) => entry.pid !== pid)),
  };
}

function readRunFile(path: string): readonly RunEntry[] {
  try {
    const { processes } = JSON.parse(readFileSync(path, "utf8")) as { processes?: RunEntry[] };
    return Array.isArray(processes) ? processes : [];
  } catch {
    return []; // no earlier run
  }
}
