import { join } from "node:path";
import { MongoClient } from "mongodb";
import { expect, onTestFinished, test, vi } from "vitest";
import { openRunFile } from "../run-file.ts";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { waitUntil } from "../wait.ts";
import { type Infra, type InfraOptions, startInfra } from "./index.ts";

vi.setConfig({ testTimeout: 60_000 });
/** Servers of the environment would be somebody else's, and could not be stopped. */
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

test("servers named by the environment are used and nothing is started", async () => {
  const given = { MONGODB_URI: "mongodb://a", REDIS_URL: "redis://b", NATS_URL: "nats://c" };
  const infra = await start({ dataDir: temporaryFolder(), env: given });
  expect(infra).toMatchObject({
    mongodbUri: "mongodb://a",
    redisUrl: "redis://b",
    natsUrl: "nats://c",
    processes: [],
  });
});

test("a start that is given up leaves no server", async () => {
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
