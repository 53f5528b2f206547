import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { processStamp } from "./process-stamp.ts";

/**
 * Makes this process the only holder of the lock file at `path`, until `release` or its death.
 * A lock whose holder no longer runs is taken over.
 * @returns the release, or the pid of the process that holds the lock.
 */
export function claim(path: string): { readonly release: () => void } | { readonly heldBy: number } {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, stamp: processStamp(process.pid) }), { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(draft, path); // unlike an exclusive create, the lock appears together with its content
        return { release: () => rmSync(path, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      }
      const holder = readHolder(path);
      if (holder !== undefined && processStamp(holder.pid) === holder.stamp) return { heldBy: holder.pid };
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(draft, { force: true });
  }
}

function readHolder(path: string): { pid: number; stamp: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { pid: number; stamp: string };
  } catch {
    return undefined; // released in between, or not ours to read
  }
}
