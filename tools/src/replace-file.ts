import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes `content` to a file beside the one at `path`, in a folder that is made if need be, and renames it over that one:
 * whoever reads meanwhile, or after this process was killed, finds the old content or the new one, whole. File and folder
 * are their owner's alone.
 */
export function replaceFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, content, { mode: 0o600, flush: true });
  renameSync(draft, path);
}
