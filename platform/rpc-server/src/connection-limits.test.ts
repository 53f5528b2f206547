import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import type { ConnectionLimits } from "@shop/http-port";
import { createMetrics } from "@shop/runtime";
import { silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import type { ServerOptions } from "./server.ts";
import { openTestPort } from "./testing/test-port.ts";

/** A connection over which `/healthz` was requested. */
interface Asked {
  /** Whether it was answered; otherwise it was closed without an answer. */
  readonly served: boolean;
  readonly socket: net.Socket;
}

const unlimited: ConnectionLimits = { total: 0, perAddress: 0 };
const shopper = "127.0.0.2";
const another = "127.0.0.3";
const proxy = "127.0.0.4";

async function start(limits: Partial<ConnectionLimits>, options: Partial<ServerOptions> = {}) {
  const { port } = await openTestPort({
    connectionLimits: { ...unlimited, ...limits },
    trustsProxy: (address) => address === proxy,
    ...options,
  });
  return {
    connect: (from = shopper) => connect(port, from),
    overHttp1: (from = shopper) => overHttp1(connect(port, from)),
    overHttp2: (from = shopper) => overHttp2(connect(port, from)),
  };
}

function connect(port: number, localAddress: string): net.Socket {
  const socket = net.connect({ port, host: "127.0.0.1", localAddress, noDelay: true }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function overHttp1(socket: net.Socket): Promise<Asked> {
  socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  const served = await new Promise<boolean>((resolve) => {
    socket.once("data", (answer) => resolve(String(answer).startsWith("HTTP/1.1 200 ")));
    socket.once("close", () => resolve(false));
  });
  return { served, socket };
}

async function overHttp2(socket: net.Socket): Promise<Asked> {
  const session = http2.connect("http://127.0.0.1", { createConnection: () => socket }).on("error", () => {});
  onTestFinished(() => session.destroy());
  const stream = session.request({ ":path": "/healthz" }).on("error", () => {});
  const served = await new Promise<boolean>((resolve) => {
    stream.once("response", (headers) => resolve(headers[":status"] === 200));
    stream.once("close", () => resolve(false));
  });
  return { served, socket };
}

async function times(n: number, ask: () => Promise<Asked>): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (let i = 0; i < n; i++) answers.push((await ask()).served);
  return answers;
}

const versions = ["overHttp1", "overHttp2"] as const;

test.each(versions)(
  "%s one address holds no more connections than its limit, and other addresses are still served",
  async (version) => {
    const port = await start({ perAddress: 3 });
    expect(await times(5, () => port[version]())).toEqual([true, true, true, false, false]);
    expect(await times(4, () => port[version](another))).toEqual([true, true, true, false]);
  },
);

test.each(versions)("%s all addresses together hold no more connections than the total limit", async (version) => {
  const port = await start({ total: 3, perAddress: 2 });
  expect(await times(2, () => port[version](shopper))).toEqual([true, true]);
  expect(await times(2, () => port[version](another))).toEqual([true, false]);
  expect(await times(1, () => port[version](proxy))).toEqual([false]);
});

test("the limit per address does not apply to a trusted proxy, since many clients are behind it", async () => {
  const port = await start({ perAddress: 2 });
  expect(await times(10, () => port.overHttp1(proxy))).not.toContain(false);
  expect(await times(3, () => port.overHttp1(shopper))).toEqual([true, true, false]);
});

test("a limit of 0 means unlimited", async () => {
  const port = await start({ total: 0, perAddress: 0 });
  expect(await times(50, () => port.overHttp1())).not.toContain(false);
});

test("a connection that sends nothing counts, too", async () => {
  const port = await start({ perAddress: 1 });
  await once(port.connect(), "connect");
  expect((await port.overHttp1()).served).toBe(false);
});

test.for<readonly [string, (port: Awaited<ReturnType<typeof start>>) => Promise<unknown>]>([
  ["that sent nothing and was closed", async ({ connect }) => (await connected(connect())).end()],
  ["that sent nothing and was reset", async ({ connect }) => (await connected(connect())).resetAndDestroy()],
  ["that was closed in the middle of the preface", async ({ connect }) => (await sent(connect(), "PRI * HT")).end()],
  ["that sent garbage", async ({ connect }) => once(await sent(connect(), "\x00garbage\r\n\r\n"), "close")],
  ["that sent invalid frames", async ({ connect }) => once(await sent(connect(), `${preface}not a frame`), "close")],
  ["of HTTP/1.1 that was closed", async ({ overHttp1 }) => (await overHttp1()).socket.end()],
  ["of HTTP/1.1 that was reset", async ({ overHttp1 }) => (await overHttp1()).socket.resetAndDestroy()],
  ["of HTTP/2 that was closed", async ({ overHttp2 }) => (await overHttp2()).socket.end()],
  ["of HTTP/2 that was reset", async ({ overHttp2 }) => (await overHttp2()).socket.resetAndDestroy()],
])("a connection %s is uncounted exactly once", async ([, comeAndGo]) => {
  for (const limits of [{ total: 1 }, { perAddress: 1 }]) {
    const port = await start(limits);
    await comeAndGo(port);
    // The port notices asynchronously that a client has left.
    await vi.waitFor(async () => expect((await port.overHttp1()).served).toBe(true));
    expect(await times(3, () => port.overHttp1())).toEqual([false, false, false]);
  }
});

test("refused connections are counted, and logged at most once per ten seconds and limit", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const metrics = createMetrics(silentLog);
  const warn = vi.fn();
  const port = await start({ total: 2, perAddress: 1 }, { metrics, log: { ...silentLog, debug() {}, warn } as never });
  await port.overHttp1();
  await times(20, () => port.overHttp1());
  expect(warn.mock.calls).toEqual([[{ limit: "address", address: shopper, refused: 1 }, "too many connections"]]);
  vi.advanceTimersByTime(10_000);
  await port.overHttp1(another);
  await times(3, () => port.overHttp1(proxy));
  expect(warn.mock.calls.slice(1)).toEqual([[{ limit: "total", address: proxy, refused: 20 }, "too many connections"]]);
  const text = await metrics.text();
  expect(text).toContain('shop_connections_refused_total{limit="address"} 20');
  expect(text).toContain('shop_connections_refused_total{limit="total"} 3');
});

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async function connected(socket: net.Socket): Promise<net.Socket> {
  await once(socket, "connect");
  return socket.resume();
}

async function sent(socket: net.Socket, bytes: string): Promise<net.Socket> {
  socket.write(bytes, "latin1");
  return await connected(socket);
}
