import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { errors } from "@nats-io/transport-node";
import { newId } from "@shop/core";
import { CustomHttpPatternSchema } from "@shop/gen/google/api/http_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { eventHandler } from "@shop/messaging";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { defineModule } from "./service-module.ts";
import { openTestBus } from "./testing/index.ts";
import { startTestModule } from "./testing/start-test-module.ts";

test("a started module is not started again if its consumers can't be created at once", async () => {
  let starts = 0;
  let isAvailable = false;
  const durable = newId("test");
  const module = defineModule({
    name: newId("start"),
    config: z.object({}),
    implements: [TokenKeyService],
    port: () => 0,
    upstreams: () => [],
    async start({ cache }) {
      starts++;
      // Two cached reads of one name in a process throw.
      cache.read({ name: "test", encode: () => new Uint8Array(), decode: () => "", freshMs: 1, staleMs: 1 });
      return {
        routes: (router) => router.service(TokenKeyService, { listTokenKeys: () => ({ keys: [] }) }),
        handlers: [
          eventHandler({
            // Simulates an election of NATS during the start.
            get durable() {
              if (isAvailable) return durable;
              isAvailable = true;
              throw new errors.TimeoutError();
            },
            stream: "test-start",
            event: CustomHttpPatternSchema,
            maxBatch: 1,
            handle: async () => {},
          }),
        ],
      };
    },
  });
  const bus = await openTestBus();
  onTestFinished(async () => void (await bus.manager.streams.delete("test-start")));
  await startTestModule(module);
  expect({ starts, isAvailable }).toEqual({ starts: 1, isAvailable: true });
});

test("a process that is told to stop serves for DRAIN_SECONDS, while it is not ready, and then closes its port", async () => {
  const port = await freePort();
  const module = defineModule({
    name: newId("drain"),
    config: z.object({}),
    implements: [TokenKeyService],
    port: () => port,
    upstreams: () => [],
    start: async () => ({
      routes: (router) => router.service(TokenKeyService, { listTokenKeys: () => ({ keys: [] }) }),
    }),
  });
  const running = await startTestModule(module, { DRAIN_SECONDS: "1" });
  const answers = () =>
    Promise.all(
      ["readyz", "healthz"].map((path) => fetch(`http://127.0.0.1:${port}/${path}`).then(({ status }) => status)),
    );
  expect(await answers()).toEqual([200, 200]);
  const closed = running.close();
  expect(await answers()).toEqual([503, 200]);
  await closed;
  await expect(answers()).rejects.toThrow();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
