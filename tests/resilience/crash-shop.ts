import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { natsServers } from "@shop/messaging";
import { choosePorts, startInfra } from "@shop/tools/infra";
import { ensureServiceKeys } from "@shop/tools/service-keys";
import { shopAccounts } from "@shop/tools/shop-accounts";
import { MongoClient } from "mongodb";
import { eventually } from "../e2e/eventually.ts";
import { ownEnvironment } from "../setup/own-environment.ts";
import { type Instructions, openStepProxy, type Step } from "./step-proxy.ts";

const root = join(import.meta.dirname, "../..");
const crashable = ["inventory", "orders"] as const;
const names = ["users", ...crashable] as const;
const buyerCount = 3;
const startingMs = { timeoutMs: 60_000 };
const dyingMs = 20_000;
const callTimeoutMs = 10_000;
/** Tokens last ten minutes. */
const renewAfterMs = 5 * 60_000;

export type ServiceName = (typeof names)[number];
/** Services that crash at a planned step. */
export type CrashableName = (typeof crashable)[number];

/** A shop on its own servers, whose services crash at planned steps. */
export interface CrashShop {
  /** Clients of an administrator, who also buys. */
  readonly orders: Client<typeof OrderService>;
  readonly inventory: Client<typeof InventoryService>;
  /** Clients of customers. */
  readonly buyers: readonly Client<typeof OrderService>[];
  readonly mongo: MongoClient;
  readonly nats: NatsConnection;
  readonly jetstream: JetStreamManager;
  /** Sets the plan for the steps of a service, from the next one. */
  instruct(service: CrashableName, instructions: Instructions): void;
  /** Its steps since then. */
  stepsOf(service: CrashableName): readonly Step[];
  /** Resolves true when a service was killed, false when it was not within 20 s. */
  hasDied(service: ServiceName): Promise<boolean>;
  kill(service: ServiceName): Promise<void>;
  /** Makes every service run and be ready, after any earlier plan. */
  recover(): Promise<void>;
  /** Starts a service that died. It may not be ready yet. */
  start(service: CrashableName, instructions?: Instructions): void;
  stop(): Promise<void>;
}

/** Starts a shop. It stops with `stop`, and when this process ends. */
export async function startCrashShop(dataDir: string): Promise<CrashShop> {
  const ports = await choosePorts(
    join(dataDir, "service-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  const urlOf = (name: ServiceName) => `http://127.0.0.1:${ports[name]![0]}`;
  const servers = await startInfra({
    dataDir,
    accounts: shopAccounts,
    env: ownEnvironment(),
    avoidPorts: Object.values(ports).flat(),
  });
  const keys = ensureServiceKeys(dataDir);
  const username = "the.admin";
  const password = randomBytes(12).toString("base64url");
  const environment = {
    ...ownEnvironment(),
    PUBLIC_KEYS_FILE: keys.publicFile,
    TOKEN_KEYS_SECRET: randomBytes(32).toString("base64url"),
    ADMIN_USERNAME: username,
    ADMIN_PASSWORD: password,
    TAKEOVER_SECONDS: "1",
    NODE_COMPILE_CACHE: join(tmpdir(), "shop-compile-cache"),
    ...Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_URL`, urlOf(name)])),
    ...Object.fromEntries(names.map((name) => [`${name.toUpperCase()}_PORT`, String(ports[name]![0])])),
  };

  const running = new Map<ServiceName, ChildProcess>();
  /** Processes that have loaded their service and wait for the start message. */
  const spares = new Map<ServiceName, ChildProcess>();
  const portIn = (url: string) => Number(new URL(url).port);
  const serverPorts = { mongodb: portIn(servers.mongodbUri), nats: portIn(servers.natsUrl) };
  const proxies = { inventory: await openStepProxy(serverPorts), orders: await openStepProxy(serverPorts) };

  /** Services that crash reach their servers through their proxy. */
  function environmentOf(service: ServiceName): Readonly<Record<string, string>> {
    const direct = { ...servers.environmentOf(service) };
    if (!isCrashable(service)) return direct;
    const { mongodbPort, natsPort } = proxies[service];
    return {
      ...direct,
      MONGODB_URI: direct.MONGODB_URI.replace(/@.*$/, `@127.0.0.1:${mongodbPort}/?directConnection=true`),
      NATS_URL: direct.NATS_URL.replace(/@.*$/, `@127.0.0.1:${natsPort}`),
    };
  }

  function spawnIdle(service: ServiceName): ChildProcess {
    const output = openSync(join(dataDir, "logs", `${service}.log`), "a");
    const child = spawn(
      process.execPath,
      ["--import", join(import.meta.dirname, "await-start.ts"), join(root, `services/${service}/src/main.ts`)],
      {
        cwd: root,
        env: {
          ...environment,
          ...environmentOf(service),
          SERVICE_KEY_FILES: keys.privateFile(service),
        },
        stdio: ["ignore", output, output, "ipc"],
      },
    );
    closeSync(output);
    return child;
  }

  function start(service: ServiceName, instructions: Instructions = {}): void {
    const child = spares.get(service) ?? spawnIdle(service);
    running.set(service, child);
    if (isCrashable(service)) {
      proxies[service].follow(child);
      proxies[service].instruct(instructions);
    }
    child.send("start");
    if (spares.delete(service)) spares.set(service, spawnIdle(service));
  }

  async function ended(child: ChildProcess): Promise<void> {
    if (!isDead(child)) await once(child, "exit");
  }

  async function kill(service: ServiceName): Promise<void> {
    const child = running.get(service);
    if (child === undefined) return;
    child.kill("SIGKILL");
    await ended(child);
  }

  const mongo = new MongoClient(servers.mongodbUri, { readConcernLevel: "majority" });
  const nats = await connect(natsServers(servers.natsUrl));

  async function stop(): Promise<void> {
    for (const spare of spares.values()) spare.kill("SIGKILL");
    await Promise.all(names.map(kill));
    await Promise.all([mongo.close(), nats.close(), ...Object.values(proxies).map((proxy) => proxy.close())]);
    await servers.stop();
  }

  try {
    for (const name of names) start(name);
    const { orders, inventory } = visit(urlOf, createSignIn(urlOf, username, password));
    const ready = async () => void (await Promise.all([orders.getOrdersByUser({}), inventory.listProducts({})]));
    await eventually(ready, startingMs);
    const buyers = await Promise.all(Array.from({ length: buyerCount }, (_, n) => signUp(urlOf, `buyer.${n}`)));
    for (const name of crashable) spares.set(name, spawnIdle(name));
    return {
      orders,
      inventory,
      buyers: buyers.map((buyer) => buyer.orders),
      mongo,
      nats,
      jetstream: await jetstreamManager(nats),
      instruct: (service, instructions) => proxies[service].instruct(instructions),
      stepsOf: (service) => proxies[service].steps(),
      async hasDied(service) {
        const child = running.get(service)!;
        const tooLate = new Promise<false>((resolve) => setTimeout(() => resolve(false), dyingMs));
        return await Promise.race([ended(child).then(() => child.signalCode === "SIGKILL"), tooLate]);
      },
      kill,
      async recover() {
        for (const name of crashable) {
          if (isDead(running.get(name)!)) start(name);
          else proxies[name].instruct({});
        }
        await eventually(ready, startingMs);
      },
      start,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function isCrashable(service: ServiceName): service is CrashableName {
  return crashable.some((name) => name === service);
}

function isDead(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

type UrlOf = (service: ServiceName) => string;

/** A token that does not expire soon. */
function createSignIn(urlOf: UrlOf, username: string, password: string): () => Promise<string> {
  const { users } = visit(urlOf);
  let token = "";
  let renewAt = 0;
  return async () => {
    if (Date.now() < renewAt) return token;
    token = (await users.authenticate({ username, password })).accessToken;
    renewAt = Date.now() + renewAfterMs;
    return token;
  };
}

async function signUp(urlOf: UrlOf, username: string) {
  const password = randomBytes(12).toString("base64url");
  await visit(urlOf).users.register({ username, password });
  return visit(urlOf, createSignIn(urlOf, username, password));
}

function visit(urlOf: UrlOf, signIn?: () => Promise<string>) {
  const signedIn: Interceptor = (next) => async (request) => {
    if (signIn !== undefined) request.header.set("authorization", `Bearer ${await signIn()}`);
    return await next(request);
  };
  const to = (service: ServiceName) =>
    createConnectTransport({
      baseUrl: urlOf(service),
      httpVersion: "1.1",
      interceptors: [signedIn],
      defaultTimeoutMs: callTimeoutMs,
    });
  return {
    users: createClient(UserService, to("users")),
    inventory: createClient(InventoryService, to("inventory")),
    orders: createClient(OrderService, to("orders")),
  };
}
