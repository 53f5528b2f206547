import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { StartError } from "./start-error.ts";

const othersBits = 0o077;

/**
 * Makes DATA_DIR, as {@link makePrivate} does, and makes sure that it can be used.
 * @throws StartError when it is no folder, or can't be made, read or written
 */
export function openDataDir(dataDir: string): void {
  try {
    makePrivate(dataDir);
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code = "", path } = error as NodeJS.ErrnoException;
    const elsewhere = path === undefined || path === dataDir ? "" : `, ${path}`;
    throw new StartError(
      `DATA_DIR is "${dataDir}", which ${whyUnusable[code] ?? "can't be used"} (${code}${elsewhere})`,
    );
  }
}

const whyUnusable: Readonly<Record<string, string>> = {
  EEXIST: "is not a folder",
  ENOTDIR: "is not a folder, or in something that is none",
  ENOENT: "can't be made where it is",
  EACCES: "you may not write to",
  EPERM: "belongs to another user, or has something in it that does",
  EROFS: "is on a file system that can't be written to",
  ENAMETOOLONG: "is too long a path",
  ENOSPC: "is on a file system that is full",
};

/**
 * Makes a folder that only its owner can enter, or closes one that an earlier version left open, with everything in it: the
 * folder itself last, so that a crash in between is continued by the next call. Symbolic links are left alone.
 * @throws Error (EPERM) when something in it belongs to another user
 */
export function makePrivate(folder: string): void {
  makeFolder(folder);
  if ((lstatSync(folder).mode & othersBits) === 0) return;
  closeToOthers(folder);
}

/** As mkdir's `recursive`, which never ends where a folder can't be made in one that is there, such as /proc. */
function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  if (!existsSync(dirname(folder))) makeFolder(dirname(folder));
  mkdirSync(folder, { mode: 0o700 });
}

function closeToOthers(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  if (stats.isDirectory()) for (const name of readdirSync(path)) closeToOthers(join(path, name));
  if ((stats.mode & othersBits) !== 0) chmodSync(path, stats.mode & 0o700);
}
