import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { choosePorts, type KeptProcess, keepProcess, openRunFile, startInfra } from "@shop/tools/infra";
import { MongoClient } from "mongodb";
import { ownEnvironment } from "../setup/own-environment.ts";

const readyTimeoutMs = 60_000;
const stopGraceMs = 10_000;

/** Every process of the shop, each killable alone: two replicas of orders and inventory, three mongod, three NATS, Redis. */
export interface Fleet {
  /** The public port. */
  readonly url: string;
  readonly mongodbUri: string;
  readonly admin: { readonly username: string; readonly password: string };
  /** The servers and the services. Nothing is started again by itself. */
  readonly processes: readonly KeptProcess[];
  process(name: string): KeptProcess;
  /** Resolves true once a service answers that it is ready; false when `signal` ends the wait. For servers: at once. */
  untilReady(name: string, signal: AbortSignal): Promise<boolean>;
  /** The names of the mongod, the primary first; undefined when there is none just now. */
  replicaSet(): Promise<readonly string[] | undefined>;
  stop(): Promise<void>;
}

/** Files that run the services, and how many of each. */
const services = [
  { name: "users", script: "services/users/src/main.ts", replicas: 1 },
  { name: "inventory", script: "services/inventory/src/main.ts", replicas: 2 },
  { name: "orders", script: "services/orders/src/main.ts", replicas: 2 },
  { name: "gateway", script: "gateway/src/main.ts", replicas: 1 },
] as const;

/**
 * Starts the split shop on a cluster, on free ports and with data in `dataDir`.
 * @param root the repository whose services run: this one, or a copy that was damaged on purpose
 */
export async function startFleet(options: {
  readonly dataDir: string;
  readonly root: string;
  readonly log: (line: string) => void;
}): Promise<Fleet> {
  const { dataDir, root, log } = options;
  const names = services.flatMap(({ name, replicas }) => replicasOf(name, replicas));
  const ports = await choosePorts(
    join(dataDir, "service-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  const portOf = (name: string) => ports[name]![0]!;
  const servers = await startInfra({
    dataDir,
    cluster: true,
    restart: false,
    env: ownEnvironment(),
    avoidPorts: names.map(portOf),
    log: () => {},
  });

  const admin = { username: "the.admin", password: randomBytes(12).toString("base64url") };
  const urlsOf = (service: string, replicas: number) =>
    replicasOf(service, replicas)
      .map((name) => `http://127.0.0.1:${portOf(name)}`)
      .join();
  const environment = {
    ...ownEnvironment(),
    MONGODB_URI: servers.mongodbUri,
    REDIS_URL: servers.redisUrl,
    NATS_URL: servers.natsUrl,
    NATS_REPLICAS: "3",
    INTERNAL_SECRET: randomBytes(32).toString("base64url"),
    ADMIN_USERNAME: admin.username,
    ADMIN_PASSWORD: admin.password,
    ...Object.fromEntries(services.map(({ name, replicas }) => [`${name.toUpperCase()}_URL`, urlsOf(name, replicas)])),
  };
  const runFile = openRunFile(join(dataDir, "services.json"));
  const kept = services.flatMap(({ name: service, script, replicas }) =>
    replicasOf(service, replicas).map((name) =>
      keepProcess(
        {
          name,
          command: process.execPath,
          args: [join(root, script)],
          cwd: root,
          env: { ...environment, [`${service.toUpperCase()}_PORT`]: String(portOf(name)) },
          ports: [portOf(name)],
          logFile: join(dataDir, "logs", `${name}.log`),
        },
        { runFile, log: () => {}, restart: false },
      ),
    ),
  );
  const processes = [...servers.processes, ...kept];
  const members = servers.processes.filter(({ name }) => name.startsWith("mongodb"));
  const directly = new Map(members.map(({ name, ports: [port] }) => [name, directClient(port!)]));

  async function untilReady(name: string, signal: AbortSignal): Promise<boolean> {
    if (!names.includes(name)) return true;
    while (!signal.aborted) {
      const response = await fetch(`http://127.0.0.1:${portOf(name)}/readyz`, {
        signal: AbortSignal.timeout(2_000),
      }).catch(() => undefined);
      await response?.arrayBuffer().catch(() => {});
      if (response?.status === 200) return true;
      await delay(50, undefined, { signal }).catch(() => {});
    }
    return false;
  }

  async function replicaSet(): Promise<readonly string[] | undefined> {
    for (const { name } of members.filter(({ pid }) => pid !== undefined)) {
      const hello = await directly
        .get(name)!
        .db("admin")
        .command({ hello: 1 }, { timeoutMS: 1_000 })
        .catch(() => undefined);
      if (hello?.isWritablePrimary === true) {
        return [name, ...members.map((member) => member.name).filter((other) => other !== name)];
      }
    }
    return undefined;
  }

  async function stop(): Promise<void> {
    // A paused process hears of nothing.
    for (const { pid } of processes) if (pid !== undefined) process.kill(pid, "SIGCONT");
    await Promise.all([...directly.values()].map((client) => client.close()));
    await Promise.all(kept.map((service) => service.stop(stopGraceMs)));
    await servers.stop();
  }

  try {
    log("starting the services");
    await Promise.all(kept.map((service) => service.start()));
    const timeout = AbortSignal.timeout(readyTimeoutMs);
    for (const name of names) {
      if (!(await untilReady(name, timeout))) throw new Error(`${name} did not become ready: see ${dataDir}/logs`);
    }
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    url: `http://127.0.0.1:${portOf("gateway")}`,
    mongodbUri: servers.mongodbUri,
    admin,
    processes,
    process(name) {
      const found = processes.find((candidate) => candidate.name === name);
      if (found === undefined) throw new Error(`no ${name} runs here`);
      return found;
    },
    untilReady,
    replicaSet,
    stop,
  };
}

/** `orders-1`, `orders-2`; a service that has no replicas keeps its name. */
function replicasOf(service: string, replicas: number): string[] {
  return replicas === 1 ? [service] : Array.from({ length: replicas }, (_, index) => `${service}-${index + 1}`);
}

function directClient(port: number): MongoClient {
  return new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 1_000,
    maxPoolSize: 2,
  });
}
