import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Writes `content` to a file beside the one at `path`, in a folder that is made if need be, and renames it over that one:
 * whoever reads meanwhile, or after this process was killed, finds the old content or the new one, whole.
 */
export function replaceFile(path: string, content: string, mode = 0o666): void {
  mkdirSync(dirname(path), { recursive: true });
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, content, { mode, flush: true });
  renameSync(draft, path);
}
