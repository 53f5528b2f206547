import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { AuthorizationError, connect, type NatsConnection, PermissionViolationError } from "@nats-io/transport-node";
import { natsServers } from "@shop/messaging";
import { MongoClient } from "mongodb";
import { afterAll, describe, expect, test } from "vitest";
import { redisAddress } from "../../setup/redis-address.ts";
import { operatorUrls, runningProcesses } from "../../setup/shop.ts";
import { shop } from "../shopping.ts";

// The rights of a local user, or of a compromised service, on MongoDB, Redis and NATS of a running shop.

const open: { close(): Promise<unknown> }[] = [];
afterAll(async () => void (await Promise.all(open.map((one) => one.close()))));

const operators = operatorUrls(shop.dataDir);
const processes = runningProcesses(shop.dataDir);
const environmentOf = (name: string): Record<string, string> => {
  const { pid } = processes.find((entry) => entry.name === name)!;
  const entries = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
  return Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
};
const withoutCredentials = (url: string) => url.replace(/\/\/[^@/]*@/, "//");
/** Services with their own credentials; in one process they share those of the process. */
const services = shop.topology === "split" ? ["users", "inventory", "orders"] : ["all-in-one"];

function mongo(uri: string): MongoClient {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
  open.push(client);
  return client;
}

/** The replies of Redis, one per command. */
async function redis(url: string, commands: readonly string[]): Promise<string[]> {
  const { address, auth } = redisAddress(url);
  const socket = connectSocket(address);
  socket.end(`${auth}${commands.map((command) => `${command}\r\n`).join("")}QUIT\r\n`);
  let received = "";
  for await (const chunk of socket) received += chunk;
  const lines = received.split("\r\n").filter((line) => /^[+\-:$*]/.test(line));
  return lines.slice(auth === "" ? 0 : 1, -1);
}

async function nats(url: string): Promise<NatsConnection> {
  const connection = await connect({ ...natsServers(url), reconnect: false, timeout: 5_000, maxReconnectAttempts: 0 });
  open.push(connection);
  return connection;
}

describe("without credentials", () => {
  test.each([
    ["users are read", { find: "users", $db: "users" }],
    ["an order is written", { insert: "orders", documents: [{ _id: "order_x" }], $db: "orders" }],
    ["databases are listed", { listDatabases: 1, $db: "admin" }],
    ["an administrator is created", { createUser: "me", pwd: "me", roles: ["root"], $db: "admin" }],
    ["the replica set is changed", { replSetGetConfig: 1, $db: "admin" }],
    ["the oplog is read", { find: "oplog.rs", $db: "local" }],
    ["the server is stopped", { shutdown: 1, $db: "admin" }],
  ])("MongoDB refuses: %s", async (_, { $db, ...command }) => {
    const anonymous = mongo(withoutCredentials(operators.MONGODB_URI)).db($db);
    await expect(anonymous.command(command)).rejects.toMatchObject({ codeName: "Unauthorized" });
  });

  test("Redis refuses reads, writes, a folder for its files, scripts and its own information", async () => {
    const commands = [
      "GET cache:x",
      "SET x 1",
      "CONFIG SET dir /tmp",
      "EVAL return 0",
      "INFO",
      "SUBSCRIBE cache:changes",
    ];
    const answers = await redis(withoutCredentials(operators.REDIS_URL), commands);
    expect(answers.map((answer) => answer.slice(0, 7))).toEqual(commands.map(() => "-NOAUTH"));
  });

  test("NATS refuses connections", async () => {
    await expect(connect({ servers: natsServers(operators.NATS_URL).servers!, reconnect: false })).rejects.toThrow(
      AuthorizationError,
    );
  });
});

describe.each(services)("the credentials of %s", (name) => {
  const own = environmentOf(name);

  test("give access to its own database and no other, and to no administration", async () => {
    const client = mongo(own.MONGODB_URI!);
    const databases = ["users", "inventory", "orders"];
    const mine = shop.topology === "split" ? [name] : databases;
    for (const database of databases) {
      const read = client.db(database).collection("anything").findOne();
      if (mine.includes(database)) expect(await read).toBeNull();
      else await expect(read).rejects.toMatchObject({ codeName: "Unauthorized" });
    }
    for (const command of [
      { createUser: "me", pwd: "me", roles: ["root"] },
      { usersInfo: 1 },
      { replSetGetConfig: 1 },
      { shutdown: 1 },
      { setParameter: 1, logLevel: 0 },
      { grantRolesToUser: name, roles: ["root"] },
    ])
      await expect(client.db("admin").command(command)).rejects.toMatchObject({ codeName: "Unauthorized" });
    await expect(client.db("local").collection("oplog.rs").findOne()).rejects.toMatchObject({
      codeName: "Unauthorized",
    });
  });

  test("run no dangerous command of Redis, and access no key or channel of others", async () => {
    const dangerous = [
      "CONFIG SET dir /tmp",
      "CONFIG GET *",
      "DEBUG SLEEP 0",
      "MODULE LIST",
      "SAVE",
      "ACL LIST",
      "KEYS *",
    ];
    const more = [
      "FLUSHALL",
      "MONITOR",
      "REPLICAOF NO ONE",
      "SCRIPT FLUSH",
      "CLIENT LIST",
      "SHUTDOWN NOSAVE",
      "SCAN 0",
    ];
    const others = ["GET other:limit:x", "SET other 1", "SUBSCRIBE other", "PUBLISH other x"];
    const commands = [...dangerous, ...more, ...others];
    const answers = await redis(own.REDIS_URL!, commands);
    expect(answers).toHaveLength(commands.length);
    // DEBUG is disabled for all accounts, which Redis checks first.
    expect(answers.filter((answer) => !/^-(NOPERM|ERR DEBUG command not allowed)/.test(answer))).toEqual([]);
    expect(await redis(own.REDIS_URL!, [`SET ${shop.topology === "split" ? name : "users"}:limit:x 1 PX 1`])).toEqual([
      "+OK",
    ]);
  });

  test("subscribe to no events and no replies to others, and use only their own subjects, streams and consumers", async () => {
    const connection = await nats(own.NATS_URL!);
    const refused: string[] = [];
    void (async () => {
      for await (const status of connection.status())
        if (status.type === "error" && status.error instanceof PermissionViolationError)
          refused.push(`${status.error.operation} ${status.error.subject}`);
    })();
    const subscriptions = ["shop.>", ">", "_INBOX.>", "_INBOX_operator.>", "$JS.EVENT.ADVISORY.>", "dead-letters.>"];
    const others = ["users", "inventory", "orders"].filter((service) => shop.topology === "split" && service !== name);
    const published = [
      "$JS.API.STREAM.DELETE.orders",
      "$JS.API.STREAM.PURGE.orders",
      "$JS.API.STREAM.CREATE.mine",
      "$JS.API.STREAM.LIST",
      "$JS.API.DIRECT.GET.orders",
      "$JS.API.STREAM.MSG.GET.orders",
      "$JS.API.CONSUMER.CREATE.orders",
      "$JS.API.CONSUMER.DELETE.orders.inventory-order-placed",
      "$SYS.REQ.SERVER.PING",
      ...others.flatMap((service) => [
        `shop.${service}.v1.Forged`,
        `$JS.API.STREAM.UPDATE.${service}`,
        `$JS.API.CONSUMER.CREATE.${service}.mine`,
      ]),
      ...(name === "orders" || name === "inventory" ? ["shop.common.v1.AccessRevoked"] : []),
    ];
    for (const subject of subscriptions) connection.subscribe(subject, { callback: () => {} });
    for (const subject of published) connection.publish(subject);
    await connection.flush();
    await connection.flush();
    expect(refused.toSorted()).toEqual(
      [...subscriptions.map((s) => `subscription ${s}`), ...published.map((s) => `publish ${s}`)].toSorted(),
    );
  });
});

describe("secrets are only where they are needed", () => {
  const secrets = JSON.parse(readFileSync(join(shop.dataDir, "secrets.json"), "utf8"));
  const strings = (value: unknown): string[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, inner]) => (key === "natsPublicKey" ? [] : strings(inner)))
      : [String(value)];
  const all = [...strings(secrets), shop.admin.password];

  test("the servers' environments hold none", () => {
    for (const name of ["mongodb", "redis", "nats"]) {
      const environment = JSON.stringify(environmentOf(name));
      expect(all.filter((secret) => environment.includes(secret))).toEqual([]);
    }
  });

  test("no command line holds one, because every user can read those", () => {
    for (const { name, pid } of runningProcesses(shop.dataDir)) {
      const line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      expect(
        all.filter((secret) => line.includes(secret)),
        name,
      ).toEqual([]);
    }
  });

  // One process has one set of credentials.
  test.for(shop.topology === "split" ? ["users", "inventory", "orders", "gateway"] : [])(
    "%s has its own credentials, and only users can sign tokens or create administrators",
    (name) => {
      const environment = JSON.stringify(environmentOf(name));
      const { [name]: own, ...others } = secrets.servers.accounts;
      expect(strings(others).filter((secret) => environment.includes(secret))).toEqual([]);
      expect(environment.includes(secrets.servers.mongodbKey)).toBe(false);
      expect(strings(own ?? {}).every((secret) => environment.includes(secret))).toBe(true);
      expect(environment.includes(shop.admin.password)).toBe(name === "users");
      expect(environment.includes(secrets.tokenKeysSecret)).toBe(name === "users");
      const servers = Object.keys(environmentOf(name)).filter((variable) => /MONGODB|REDIS|NATS/.test(variable));
      expect(servers.length > 0).toBe(name !== "gateway");
    },
  );

  test("no file in the data directory is accessible to others: logs, sockets and caches included", () => {
    const open: string[] = [];
    let seen = 0;
    const look = (path: string) => {
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined || stats.isSymbolicLink()) return;
      seen++;
      if ((stats.mode & 0o077) !== 0) open.push(`${path} ${(stats.mode & 0o777).toString(8)}`);
      if (stats.isDirectory()) for (const name of readdirSync(path)) look(join(path, name));
    };
    look(shop.dataDir);
    expect(open).toEqual([]);
    expect(seen).toBeGreaterThan(50);
  });
});
