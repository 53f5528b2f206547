import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes `content` to a file beside `path`, in a folder that is created if missing, and renames it over `path`:
 * a concurrent reader, or one after a crash, gets the whole old or new content. File and folder
 * are accessible to their owner only.
 */
export function replaceFile(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, content, { mode: 0o600, flush: true });
  renameSync(draft, path);
}
