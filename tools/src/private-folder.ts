import { accessSync, chmodSync, constants, existsSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { StartError } from "./start-error.ts";

const othersBits = 0o077;

/**
 * Creates DATA_DIR with {@link makePrivate}, and checks that it is usable.
 * @throws StartError when it is not a folder, or can't be created, read or written
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
  ENOTDIR: "is not a folder, or is inside a file",
  ENOENT: "can't be created there",
  EACCES: "you may not write to",
  EPERM: "belongs to another user, or contains a file that does",
  EROFS: "is on a read-only file system",
  ENAMETOOLONG: "is a path that is too long",
  ENOSPC: "is on a full file system",
};

/**
 * Creates a folder that only its owner can enter, or makes one of an earlier version private, with everything in it: the
 * folder itself last, so that the next call completes an interrupted one. Symbolic links are unchanged.
 * @throws Error (EPERM) when a file in it belongs to another user
 */
export function makePrivate(folder: string): void {
  makeFolder(folder);
  if ((lstatSync(folder).mode & othersBits) === 0) return;
  closeToOthers(folder);
}

/** Like mkdir's `recursive`, which never ends where an existing folder such as /proc allows no new folders. */
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
