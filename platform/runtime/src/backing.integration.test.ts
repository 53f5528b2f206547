import * as net from "node:net";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { connectBacking } from "./backing.ts";
import { platformConfig } from "./platform-config.ts";
import { serverAt, silentLog } from "./testing/index.ts";

/** A proxy to a server that can be cut. */
async function wayTo(url: string) {
  const { address, through } = serverAt(url);
  const sockets = new Set<net.Socket>();
  const relay = net.createServer((from) => {
    const to = net.connect(address);
    for (const socket of [from, to]) sockets.add(socket.on("error", () => {}));
    from.pipe(to).pipe(from);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
  function cut(): void {
    relay.close();
    for (const socket of sockets) socket.destroy();
  }
  onTestFinished(cut);
  return { url: through((relay.address() as net.AddressInfo).port), cut };
}

test("if MongoDB and NATS are lost, both are reported missing", async () => {
  const [mongo, nats] = [await wayTo(inject("mongodbUri")), await wayTo(inject("natsUrl"))];
  const settings = platformConfig.parse({
    MONGODB_URI: mongo.url.replace(/replicaSet=\w+/, "directConnection=true"),
    NATS_URL: nats.url,
    REDIS_URL: inject("redisUrl"),
  });
  const backing = await connectBacking(settings, "test", undefined, silentLog, new AbortController().signal);
  onTestFinished(() => backing.close());
  expect(await backing.missing()).toEqual([]);
  mongo.cut();
  expect(await backing.missing()).toEqual(["MongoDB has no primary"]);
  nats.cut();
  await vi.waitFor(
    async () => expect(await backing.missing()).toEqual(["NATS is disconnected", "MongoDB has no primary"]),
    {
      timeout: 10_000,
      interval: 50,
    },
  );
});
