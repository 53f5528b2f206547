import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../replace-file.ts";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import { redisUsers } from "./redis-users.ts";
import type { ServerSource } from "./resolve-server.ts";
import { serverEnvironment } from "./server-environment.ts";
import { type LaunchedServer, type Starting, untilReady } from "./starting.ts";
import { answers, type LocalAddress } from "./tcp.ts";

/** The kernel's limit for the path of a Unix socket; macOS has the smallest, 104 bytes with the final zero. */
const longestSocketPath = 103;

/**
 * Starts Redis as a cache only: it stores nothing on disk and evicts the least recently used keys. It listens on a
 * Unix socket in its folder unless it has a port.
 */
export async function launchRedis(source: ServerSource, starting: Starting): Promise<LaunchedServer> {
  if (source.from === "environment") return { urlFor: () => source.url, answers: async () => {} };
  const { dataDir, env, keep, signal, accounts, credentials } = starting;
  const docker = source.from === "docker";
  const folder = join(dataDir, "redis");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const port = starting.ports.redis?.[0];
  const address: LocalAddress = port === undefined ? { path: redisSocket(dataDir) } : { port };
  const own = { name: "redis", ports: port === undefined ? [] : [port], addresses: [address] };
  const configFile = join(folder, "redis.conf");
  if (!docker) replaceFile(configFile, redisConfig(folder, address, accounts, credentials));
  const member = keep(
    docker
      ? {
          ...own,
          command: "docker",
          args: source.args,
          env: dockerEnvironment(starting, { REDIS_PORT: String(port) }),
        }
      : { ...own, command: source.path, args: [configFile], env: serverEnvironment(env) },
  );
  await member.start();
  const greeting = `AUTH ${operator} ${credentials.accounts[operator]!.redisPassword}\r\nPING\r\n`;
  return {
    urlFor: (account) => {
      const user = `${account}:${credentials.accounts[account]!.redisPassword}`;
      return "path" in address ? `unix://${user}@${address.path}` : `redis://${user}@127.0.0.1:${address.port}`;
    },
    answers: () =>
      untilReady(
        "redis answers PING",
        [member],
        () => answers(address, greeting, (received) => received === "+OK\r\n+PONG\r\n"),
        { docker, signal },
      ),
  };
}

/** Whether Redis can use a Unix socket in this data directory; its path may be too long. */
export function hasRedisSocket(dataDir: string): boolean {
  return process.platform !== "win32" && Buffer.byteLength(redisSocket(dataDir)) <= longestSocketPath;
}

function redisSocket(dataDir: string): string {
  return join(dataDir, "redis", "redis.sock");
}

/** See https://valkey.io/topics/valkey.conf */
function redisConfig(
  folder: string,
  address: LocalAddress,
  accounts: readonly Account[],
  credentials: Credentials,
): string {
  const listen =
    "path" in address
      ? ["port 0", `unixsocket ${JSON.stringify(address.path)}`, "unixsocketperm 700"]
      : [`port ${address.port}`, "bind 127.0.0.1"];
  const lines = [
    ...listen,
    `dir ${JSON.stringify(folder)}`,
    "daemonize no",
    'save ""',
    "appendonly no",
    "maxmemory 256mb",
    "maxmemory-policy allkeys-lru",
    ...redisUsers(accounts, credentials),
  ];
  return `${lines.join("\n")}\n`;
}
