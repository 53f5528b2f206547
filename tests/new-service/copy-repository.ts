import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdtempSync, realpathSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkPackages } from "../setup/link-packages.ts";

const root = join(import.meta.dirname, "../..");

/**
 * Copies the working tree, committed or not, into a git repository of its own in a temporary folder. Installed packages and
 * servers are the original's; links to workspaces point to the copy's. Returns its path.
 */
export function copyRepository(): string {
  const copy = realpathSync(mkdtempSync(join(tmpdir(), "shop-copy-")));
  const git = (folder: string, ...args: readonly string[]) =>
    execFileSync("git", ["-C", folder, ...args], { encoding: "utf8" });

  const files = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0").filter(Boolean);
  for (const file of new Set(files)) if (existsSync(join(root, file))) cpSync(join(root, file), join(copy, file));

  linkPackages(root, copy);
  if (existsSync(join(root, ".infra"))) symlinkSync(realpathSync(join(root, ".infra")), join(copy, ".infra"));

  git(copy, "init", "--quiet", "--initial-branch=main");
  // .gitignore has patterns for folders, and these are links.
  appendFileSync(join(copy, ".git/info/exclude"), ".infra\n");
  git(copy, "add", "--all");
  git(copy, "-c", "user.name=test", "-c", "user.email=test@shop.example", "commit", "--quiet", "--message=Copy");
  return copy;
}
