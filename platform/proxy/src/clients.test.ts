import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect, onTestFinished, test } from "vitest";
import { createTransportTo } from "./clients.ts";

async function listen(onRequest: Parameters<typeof createServer>[1]): Promise<string> {
  const server = createServer({}, onRequest!);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const replica = () =>
  listen(connectNodeAdapter({ routes: (router) => router.service(TokenKeyService, { listTokenKeys: () => ({}) }) }));

function callers(urls: readonly string[]) {
  const transportTo = createTransportTo({
    hosted: () => undefined,
    routerOptions: { interceptors: [], readMaxBytes: 1_024 },
    upstreams: [{ name: "users", service: TokenKeyService, urls }],
    credentialFor: () => "",
  });
  return createClient(TokenKeyService, transportTo(TokenKeyService));
}

test("concurrent reads all reach the remaining replica", async () => {
  const client = callers(["http://127.0.0.1:1", await replica()]);
  const reads = await Promise.allSettled(Array.from({ length: 20 }, () => client.listTokenKeys({})));
  expect(reads.filter(({ status }) => status === "rejected")).toEqual([]);
});

test("a read whose replica dies during the call is retried on another one", async () => {
  const dying = await listen((request) => void request.socket.destroy());
  const client = callers([dying, await replica()]);
  for (let read = 0; read < 4; read++) await client.listTokenKeys({});
});

/** Accepts connections and answers nothing, like a hanging process. */
async function hanging() {
  let asked = 0;
  const url = await listen(() => void asked++);
  return { url, asked: () => asked };
}

test("a read whose replica hangs is answered by another one well before its deadline", async () => {
  const { url } = await hanging();
  const client = callers([url, await replica()]);
  const began = performance.now();
  await Promise.all([client.listTokenKeys({}), client.listTokenKeys({})]);
  expect(performance.now() - began).toBeLessThan(1_500);
});

test("a hanging replica delays one read, and later ones avoid it", async () => {
  const { url, asked } = await hanging();
  const client = callers([url, await replica()]);
  for (let read = 0; read < 6; read++) await client.listTokenKeys({});
  expect(asked()).toBe(1);
});
