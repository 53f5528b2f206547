import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ServerSource } from "./resolve-server.ts";
import { type StartedServer, type Starting, untilReady } from "./starting.ts";
import { answers } from "./tcp.ts";

/** Starts Redis as a cache and nothing more: it stores nothing on disk and drops the least recently used. */
export async function startRedis(source: ServerSource, starting: Starting): Promise<StartedServer> {
  if (source.from === "environment") return { url: source.url, members: [] };
  const { dataDir, ports, keep, signal } = starting;
  const port = ports.redis![0]!;
  const folder = join(dataDir, "redis");
  await mkdir(folder, { recursive: true });
  const member = keep(
    source.from === "docker"
      ? { name: "redis", command: "docker", args: source.args, env: dockerEnv(port), ports: [port] }
      : { name: "redis", command: source.path, args: redisArguments(folder, port), ports: [port] },
  );
  await member.start();
  await untilReady(
    "redis answers PING",
    [member],
    () => answers(port, "PING\r\n", (received) => received.startsWith("+PONG")),
    { docker: source.from === "docker", signal },
  );
  return { url: `redis://127.0.0.1:${port}`, members: [member] };
}

function redisArguments(folder: string, port: number): string[] {
  return [
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--daemonize", "no"],
    ...["--save", "", "--appendonly", "no"],
    ...["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"],
  ];
}

function dockerEnv(port: number): NodeJS.ProcessEnv {
  return { ...process.env, REDIS_PORT: String(port) };
}
