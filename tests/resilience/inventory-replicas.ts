import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type Client, type ConnectRouter, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { signAccessToken } from "@shop/auth";
import { newId } from "@shop/core";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { choosePorts, type Infra, startInfra } from "@shop/tools/infra";
import { shopAccounts } from "@shop/tools/shop-accounts";
import { eventually } from "../e2e/eventually.ts";
import { ownEnvironment } from "../setup/own-environment.ts";

const root = join(import.meta.dirname, "../..");
const names = ["a", "b"] as const;
type Urls = ReturnType<Infra["environmentOf"]>;

export interface InventoryReplica {
  /** As an administrator. */
  readonly client: Client<typeof InventoryService>;
  /** Sends SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
}

/** Two replicas of inventory on servers of their own. Users does not run: its key is published by this process. */
export interface InventoryReplicas {
  readonly servers: Infra;
  readonly replicas: readonly [InventoryReplica, InventoryReplica];
  stop(): Promise<void>;
}

/** @param urlsOf the servers' URLs for a replica, given the direct ones */
export async function startInventoryReplicas(
  dataDir: string,
  urlsOf: (urls: Urls) => Promise<Partial<Urls>>,
): Promise<InventoryReplicas> {
  const key = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const { d: _private, ...publicKey } = { ...(key as Record<"kty" | "crv" | "x" | "d", string>), kid: "test" };
  const routes = (router: ConnectRouter) =>
    router.service(TokenKeyService, { listTokenKeys: () => ({ keys: [{ ...publicKey, alg: "EdDSA", use: "sig" }] }) });
  const users = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
  await once(users, "listening");
  const administrator = { userId: newId("user"), roles: ["admin"], sessionId: newId("session"), version: 1 };
  const adminToken = await signAccessToken({ ...publicKey, d: _private }, administrator, new Date());

  const ports = await choosePorts(
    join(dataDir, "service-ports.json"),
    Object.fromEntries(names.map((name) => [name, 1])),
  );
  const servers = await startInfra({
    dataDir,
    accounts: shopAccounts,
    env: ownEnvironment(),
    avoidPorts: Object.values(ports).flat(),
  });
  mkdirSync(join(dataDir, "logs"), { recursive: true });

  async function openReplica(name: string): Promise<InventoryReplica> {
    const direct = servers.environmentOf("inventory");
    const env = {
      ...ownEnvironment(),
      ...direct,
      ...(await urlsOf(direct)),
      USERS_URL: `http://127.0.0.1:${(users.address() as AddressInfo).port}`,
      INVENTORY_PORT: String(ports[name]![0]),
    };
    const client = createClient(
      InventoryService,
      createConnectTransport({
        baseUrl: `http://127.0.0.1:${ports[name]![0]}`,
        httpVersion: "1.1",
        interceptors: [
          (next) => async (request) => {
            request.header.set("authorization", `Bearer ${adminToken}`);
            return await next(request);
          },
        ],
      }),
    );
    let child: ChildProcess | undefined;
    return {
      client,
      async start() {
        const output = openSync(join(dataDir, "logs", `${name}.log`), "a");
        child = spawn(process.execPath, [join(root, "services/inventory/src/main.ts")], {
          cwd: root,
          env,
          stdio: ["ignore", output, output],
        });
        closeSync(output);
        await eventually(() => client.listProducts({}), { timeoutMs: 30_000 });
      },
      async kill() {
        child?.kill("SIGKILL");
        if (child?.exitCode === null && child.signalCode === null) await once(child, "exit");
      },
    };
  }

  const replicas = [await openReplica("a"), await openReplica("b")] as const;
  await Promise.all(replicas.map((replica) => replica.start()));
  return {
    servers,
    replicas,
    async stop() {
      await Promise.all(replicas.map((replica) => replica.kill()));
      await servers.stop();
      users.close().closeAllConnections();
    },
  };
}
