import { mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";

/** Gives a copy of the repository at `root` the installed packages, but no cache: what the copy's tools remember of it stays in it. */
export function linkPackages(root: string, copy: string): void {
  const [packages, modules] = [join(root, "node_modules"), join(copy, "node_modules")];
  mkdirSync(join(modules, "@shop"), { recursive: true });
  const installed = readdirSync(packages).filter((name) => name === ".bin" || !/^(\.|@shop$)/.test(name));
  for (const name of installed) symlinkSync(join(packages, name), join(modules, name));
  // Links of the workspaces, which are relative: in the copy they lead to its own packages.
  for (const name of readdirSync(join(packages, "@shop"))) {
    symlinkSync(readlinkSync(join(packages, "@shop", name)), join(modules, "@shop", name));
  }
}
