import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

const othersBits = 0o077;

/**
 * Makes a folder that only its owner can enter, or closes one that an earlier version left open, with everything in it: the
 * folder itself last, so that a crash in between is continued by the next call. Symbolic links are left alone.
 * @throws Error (EPERM) when something in it belongs to another user
 */
export function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((lstatSync(folder).mode & othersBits) === 0) return;
  closeToOthers(folder);
}

function closeToOthers(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const name of readdirSync(path)) closeToOthers(join(path, name));
  if ((stats.mode & othersBits) !== 0) chmodSync(path, stats.mode & 0o700);
}
