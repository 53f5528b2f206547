import { createServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { choosePorts, isFree } from "./ports.ts";

async function listen(host: string, port = 0): Promise<number> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen({ host, port }, resolve));
  return (server.address() as { port: number }).port;
}

test.each(["127.0.0.1", "0.0.0.0", "::"])("a port with a listener at %s is not free", async (host) => {
  expect(await isFree(await listen(host))).toBe(false);
});

test("the ports of the last start are reused while they are free", async () => {
  const file = join(temporaryFolder(), "ports.json");
  const first = await choosePorts(file, { mongodb: 1, nats: 2 });
  expect(new Set(Object.values(first).flat()).size).toBe(3);
  expect(await choosePorts(file, { mongodb: 1, nats: 2 })).toEqual(first);
});

test("a remembered port that another process uses now is replaced, never adopted", async () => {
  const file = join(temporaryFolder(), "ports.json");
  const first = await choosePorts(file, { mongodb: 1, redis: 1 });
  await listen("127.0.0.1", first.mongodb![0]!);
  const second = await choosePorts(file, { mongodb: 1, redis: 1 });
  expect(second.mongodb).not.toEqual(first.mongodb);
  expect(second.redis).toEqual(first.redis);
});

test("a port that is reserved for another process is avoided", async () => {
  const file = join(temporaryFolder(), "ports.json");
  const { redis } = await choosePorts(file, { redis: 1 });
  expect((await choosePorts(file, { redis: 1 }, redis)).redis).not.toEqual(redis);
});
