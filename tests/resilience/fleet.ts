import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { choosePorts, openRunFile, type SupervisedProcess, startInfra, superviseProcess } from "@shop/tools/infra";
import { ensureServiceKeys } from "@shop/tools/service-keys";
import { shopAccounts } from "@shop/tools/shop-accounts";
import { entryFile, processNames } from "@shop/topology";
import { MongoClient } from "mongodb";
import { ownEnvironment } from "../setup/own-environment.ts";
import { type Link, type LinkFault, openLink } from "./link.ts";
import { noisyBus, usualNoise } from "./noisy-bus.ts";
import type { Random } from "./random.ts";

const readyTimeoutMs = 60_000;
const stopGraceMs = 10_000;

/** All processes of the shop, individually killable: two replicas of orders and inventory, three mongod, three NATS, Redis. */
export interface Fleet {
  /** The public port. */
  readonly url: string;
  readonly mongodbUri: string;
  readonly natsUrl: string;
  readonly admin: { readonly username: string; readonly password: string };
  /** The servers and the services. None is restarted automatically. */
  readonly processes: readonly SupervisedProcess[];
  process(name: string): SupervisedProcess;
  /** Resolves true once a service is ready; false when `signal` ends the wait. For servers: at once. */
  untilReady(name: string, signal: AbortSignal): Promise<boolean>;
  /** The names of the mongod, the primary first; undefined while there is no primary. */
  replicaSet(): Promise<readonly string[] | undefined>;
  /**
   * Breaks the links from a service to a server or another service, of all members of a cluster at once: `orders-1>mongodb`.
   * Without a fault, restores them.
   */
  breakLink(link: string, fault?: LinkFault): void;
  stop(): Promise<void>;
}

/** Files that run the services, and how many of each. */
const services = processNames.map((name) => ({
  name,
  script: entryFile(name),
  replicas: name === "inventory" || name === "orders" ? 2 : 1,
}));

/** Makes a service connect through its links. */
const preload = join(import.meta.dirname, "through-links.ts");

/**
 * Starts the split shop on a cluster, on free ports and with data in `dataDir`. Every service connects to every server, and
 * every other service, through its own link; those to NATS duplicate, delay and swap events.
 * @param root the repository whose services run: this one, or a copy with a planted bug
 */
export async function startFleet(options: {
  readonly dataDir: string;
  readonly root: string;
  readonly random: Random;
  readonly log: (line: string) => void;
}): Promise<Fleet> {
  const { dataDir, root, random, log } = options;
  const names = services.flatMap(({ name, replicas }) => replicasOf(name, replicas));
  const ports = await choosePorts(
    join(dataDir, "service-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  const portOf = (name: string) => ports[name]![0]!;
  const servers = await startInfra({
    dataDir,
    accounts: shopAccounts,
    cluster: true,
    restart: false,
    env: ownEnvironment(),
    avoidPorts: names.map(portOf),
    log: () => {},
  });

  const keys = ensureServiceKeys(dataDir);
  const admin = { username: "the.admin", password: randomBytes(12).toString("base64url") };
  const urlsOf = (service: string, replicas: number) =>
    replicasOf(service, replicas)
      .map((name) => `http://127.0.0.1:${portOf(name)}`)
      .join();
  const environment = {
    ...ownEnvironment(),
    NODE_COMPILE_CACHE: join(dataDir, "compile-cache"),
    NATS_REPLICAS: "3",
    PUBLIC_KEYS_FILE: keys.publicFile,
    TOKEN_KEYS_SECRET: randomBytes(32).toString("base64url"),
    ADMIN_USERNAME: admin.username,
    ADMIN_PASSWORD: admin.password,
    ...Object.fromEntries(services.map(({ name, replicas }) => [`${name.toUpperCase()}_URL`, urlsOf(name, replicas)])),
  };
  const targets = [...servers.processes.map(({ name, ports: [port] }) => ({ name, port: port! }))].concat(
    names.map((name) => ({ name, port: portOf(name) })),
  );
  const links = new Map<string, Map<string, { port: number; link: Link }>>();
  for (const from of names) {
    links.set(from, new Map());
    for (const { name: to, port } of targets.filter(({ name }) => name !== from)) {
      const path = `${from}>${to}`;
      const filters = to.startsWith("nats")
        ? {
            there: noisyBus(random.fork(`${path} published`), usualNoise),
            back: noisyBus(random.fork(`${path} delivered`), usualNoise),
          }
        : {};
      links.get(from)!.set(to, { port, link: await openLink(port, filters, random.fork(path).next) });
    }
  }
  const linkPortsOf = (from: string) =>
    Object.fromEntries([...links.get(from)!.values()].map(({ port, link }) => [port, link.port]));

  const runFile = openRunFile(join(dataDir, "services.json"));
  const kept = services.flatMap(({ name: service, script, replicas }) =>
    replicasOf(service, replicas).map((name) =>
      superviseProcess(
        {
          name,
          command: process.execPath,
          args: ["--import", preload, join(root, script)],
          cwd: root,
          env: {
            ...environment,
            ...(service === "gateway" ? {} : servers.environmentOf(service)),
            SHOP_TEST_LINKS: JSON.stringify(linkPortsOf(name)),
            SERVICE_KEY_FILES: keys.privateFile(service),
            [`${service.toUpperCase()}_PORT`]: String(portOf(name)),
          },
          ports: [portOf(name)],
          logFile: join(dataDir, "logs", `${name}.log`),
        },
        { runFile, log: () => {}, restart: false },
      ),
    ),
  );
  const processes = [...servers.processes, ...kept];
  const members = servers.processes.filter(({ name }) => name.startsWith("mongodb"));
  const directly = new Map(members.map(({ name, ports: [port] }) => [name, directClient(servers.mongodbUri, port!)]));

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

  async function isPrimary(name: string): Promise<boolean> {
    const hello = directly.get(name)!.db("admin").command({ hello: 1 }, { timeoutMS: 1_000 });
    // The driver bounds the command, but not its wait for a connection.
    const answer = await Promise.race([hello, delay(1_500, undefined, { ref: false })]).catch(() => undefined);
    return answer?.isWritablePrimary === true;
  }

  async function replicaSet(): Promise<readonly string[] | undefined> {
    const running = members.filter(({ pid }) => pid !== undefined).map(({ name }) => name);
    const answers = await Promise.all(running.map(isPrimary));
    const primary = running[answers.indexOf(true)];
    if (primary === undefined) return undefined;
    return [primary, ...members.map(({ name }) => name).filter((name) => name !== primary)];
  }

  async function stop(): Promise<void> {
    // A paused process handles no signals.
    for (const { pid } of processes) if (pid !== undefined) process.kill(pid, "SIGCONT");
    await Promise.all([...directly.values()].map((client) => client.close()));
    await Promise.all(kept.map((service) => service.stop(stopGraceMs)));
    await servers.stop();
    await Promise.all([...links.values()].flatMap((own) => [...own.values()].map(({ link }) => link.close())));
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
    natsUrl: servers.natsUrl,
    admin,
    processes,
    process(name) {
      const found = processes.find((candidate) => candidate.name === name);
      if (found === undefined) throw new Error(`no process ${name}`);
      return found;
    },
    untilReady,
    replicaSet,
    breakLink(path, fault) {
      const [from, to] = path.split(">");
      const broken = [...(links.get(from!) ?? [])].filter(([name]) => name === to || name.startsWith(`${to}-`));
      if (broken.length === 0) throw new Error(`unknown link ${path}`);
      for (const [, { link }] of broken) link.suffer(fault);
    },
    stop,
  };
}

/** `orders-1`, `orders-2`; a service without replicas keeps its name. */
function replicasOf(service: string, replicas: number): string[] {
  return replicas === 1 ? [service] : Array.from({ length: replicas }, (_, index) => `${service}-${index + 1}`);
}

/** A connection to one member, with the credentials of `uri`. */
function directClient(uri: string, port: number): MongoClient {
  return new MongoClient(uri.replace(/@.*$/, `@127.0.0.1:${port}/?directConnection=true`), {
    serverSelectionTimeoutMS: 1_000,
    maxPoolSize: 2,
  });
}
