import { processStamp } from "./process-stamp.ts";
import type { RunEntry, RunFile } from "./run-file.ts";
import { waitUntil } from "./wait.ts";

/** The time that a leftover process has to stop before it is killed. */
const staleGraceMs = 10_000;

/**
 * Stops the processes that a killed starter left behind, last started first, and removes their records.
 * A recorded pid that another process has now is not touched: only an equal stamp proves that it is ours.
 */
export async function stopStale(runFile: RunFile, log: (line: string) => void): Promise<void> {
  for (const entry of runFile.processes.toReversed()) {
    if (stillRuns(entry)) {
      log(`${entry.name}: stopping pid ${entry.pid}, left behind by an earlier run`);
      const gone = { what: `pid ${entry.pid} is gone`, timeoutMs: staleGraceMs };
      signal(entry, "SIGTERM");
      await waitUntil(() => !stillRuns(entry), gone).catch(() => {
        signal(entry, "SIGKILL");
        return waitUntil(() => !stillRuns(entry), gone);
      });
    }
    runFile.remove(entry.pid);
  }
}

function stillRuns(entry: RunEntry): boolean {
  return entry.stamp !== undefined && processStamp(entry.pid) === entry.stamp;
}

function signal(entry: RunEntry, name: NodeJS.Signals): void {
  try {
    process.kill(entry.pid, name);
  } catch {
    // It ended between the check and the signal.
  }
}
