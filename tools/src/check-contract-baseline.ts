import { runCommand } from "./infra/run-command.ts";

/** The commit with which the contracts are compared, or none, and why. */
export type ContractBaseline =
  | { readonly commit: string; readonly what: string }
  | { readonly commit: undefined; readonly what: string };

/**
 * Finds the published state for the repository at `root`: the fork point from main, if the branch is ahead of
 * it; on main itself the last commit while there are changes to the contracts, else the one before (so that a commit is
 * compared with its parent, locally and in CI).
 */
export async function contractBaseline(root: string, paths: readonly string[]): Promise<ContractBaseline> {
  const git = async (...args: readonly string[]) => await runGit(root, ...args);
  const head = await git("rev-parse", "--verify", "--quiet", "HEAD^{commit}");
  if (head === undefined) return { commit: undefined, what: "nothing to compare with: no commit yet, or no git here" };

  for (const main of ["origin/HEAD", "origin/main", "main"]) {
    const fork = await git("merge-base", "HEAD", main);
    if (fork !== undefined && fork !== head) return { commit: fork, what: `compared with ${main}, ${short(fork)}` };
    if (fork !== undefined) break;
  }

  const changed = await git("status", "--porcelain", "--", ...paths);
  if (changed !== "") return { commit: head, what: `compared with the last commit, ${short(head)}` };
  const parent = await git("rev-parse", "--verify", "--quiet", "HEAD^1^{commit}");
  if (parent !== undefined) return { commit: parent, what: `compared with the commit before, ${short(parent)}` };
  const isShallow = (await git("rev-parse", "--is-shallow-repository")) === "true";
  return {
    commit: undefined,
    what: isShallow
      ? "nothing to compare with: this clone is shallow, fetch at least two commits"
      : "nothing to compare with: this is the first commit",
  };
}

/** Writes those of the paths that exist in the commit into a tar file; returns whether there were any. */
export async function archiveCommit(
  root: string,
  commit: string,
  paths: readonly string[],
  tarFile: string,
): Promise<boolean> {
  const present = (await runGit(root, "ls-tree", "--name-only", commit, "--", ...paths))?.split("\n") ?? [];
  if (present.length === 0 || present[0] === "") return false;
  if ((await runGit(root, "archive", "--format=tar", "-o", tarFile, commit, "--", ...present)) === undefined) {
    throw new Error(`git can't archive ${commit}`);
  }
  return true;
}

/** The output of a git command; undefined when it failed. */
async function runGit(root: string, ...args: readonly string[]): Promise<string | undefined> {
  // A container often runs as another user than the owner of the checkout, which git refuses by default.
  const { ok, output } = await runCommand("git", ["-c", `safe.directory=${root}`, "-C", root, ...args], {
    timeoutMs: 60_000,
  });
  return ok ? output : undefined;
}

const short = (commit: string) => commit.slice(0, 9);
