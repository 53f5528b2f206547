import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";

/**
 * Links the installed packages into a copy of the repository at `root`, without caches, so that the copy's tools write
 * their own.
 */
export function linkPackages(root: string, copy: string): void {
  const [packages, modules] = [join(root, "node_modules"), join(copy, "node_modules")];
  mkdirSync(join(modules, "@shop"), { recursive: true });
  const installed = readdirSync(packages).filter((name) => name === ".bin" || !/^(\.|@shop$)/.test(name));
  for (const name of installed) symlinkSync(join(packages, name), join(modules, name));
  // Workspace links are relative, so in the copy they point to its own packages.
  for (const name of readdirSync(join(packages, "@shop"))) {
    symlinkSync(readlinkSync(join(packages, "@shop", name)), join(modules, "@shop", name));
  }
}
