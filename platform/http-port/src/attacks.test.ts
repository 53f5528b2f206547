import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import Fastify from "fastify";
import { afterEach, describe, expect, test } from "vitest";
import { type OnePortOptions, onePortServerFactory, portOf } from "./one-port.ts";
import {
  endHeaders,
  endStream,
  frame,
  frameTypes,
  headerBlock,
  literal,
  noWindow,
  opening,
  ping,
  preface,
  readFrames,
  reset,
  settings,
  windowUpdate,
} from "./testing/http2-frames.ts";

/** Short limits, so that the test is fast; one-port.ts has the defaults. */
const limits: OnePortOptions = {
  sniffTimeoutMs: 200,
  headersTimeoutMs: 200,
  requestTimeoutMs: 400,
  unreadTimeoutMs: 400,
  keepAliveMs: 400,
  sessionCheckMs: 400,
  pingTimeoutMs: 200,
};
/** The longest limit, plus what Node adds (a second to keepAliveMs), plus a margin for a busy machine. */
const overWithinMs = 4_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

interface Attack {
  readonly says: string;
  /** Written first, then `again` every few milliseconds. */
  readonly sends: string | Buffer;
  readonly again?: string | Buffer;
  readonly readsNothing?: true;
  /** Disables another limit that would also end it, but later. */
  readonly without?: OnePortOptions;
}

const noSessionCheck = { sessionCheckMs: 60_000 };
const noRequestTimeout = { requestTimeoutMs: 60_000 };

describe("over HTTP/1.1 a connection is closed", () => {
  test.for<Attack>([
    { says: "that sends nothing", sends: "" },
    { says: "whose request line never ends", sends: "GET /", again: "x", without: noRequestTimeout },
    {
      says: "whose headers never end",
      sends: "GET /hello HTTP/1.1\r\nHost: a\r\n",
      again: "x: y\r\n",
      without: noRequestTimeout,
    },
    {
      says: "whose body arrives byte by byte",
      sends: "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 100000\r\n\r\n",
      again: "x",
    },
    {
      says: "whose chunks never end",
      sends: "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n",
      again: "1\r\nx\r\n",
    },
    { says: "that reads no answer", sends: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", readsNothing: true },
    {
      says: "that reads none of many answers",
      sends: "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50),
      readsNothing: true,
    },
    { says: "that reads nothing of a stream", sends: "GET /torrent HTTP/1.1\r\nHost: a\r\n\r\n", readsNothing: true },
    { says: "that stays idle after a request", sends: "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" },
  ])("$says", closesIn(limits));
});

describe("over HTTP/2 a connection is closed", () => {
  test.for<Attack>([
    { says: "whose preface is incomplete", sends: preface().subarray(0, 12) },
    { says: "that sends the preface and then nothing", sends: preface(), without: noSessionCheck },
    { says: "that sends half a SETTINGS frame", sends: opening().subarray(0, -4), without: noSessionCheck },
    { says: "that opens no stream, but sends PINGs", sends: opening(), again: ping() },
    { says: "whose headers stay incomplete", sends: opening(unfinished(1)) },
    { says: "that holds a stream and answers no PING", sends: opening(request(1, "/never")) },
  ])("$says", closesIn(limits));
});

// Limits of counts, not of time: a busy port must not mistake legitimate clients for slow ones.
describe("over HTTP/2 a connection is closed at once", () => {
  test.for<Attack>([
    {
      says: "whose headers never end",
      sends: opening(unfinished(1)),
      again: frame("continuation", 0, 1, literal("x", "y")),
    },
    {
      says: "with megabytes of headers",
      sends: opening(unfinished(1), ...times(100, () => frame("continuation", 0, 1, literal("x", "m".repeat(16_000))))),
    },
    {
      says: "that opens and resets 5,000 streams (rapid reset)",
      sends: opening(...times(5_000, (id) => Buffer.concat([request(id, "/slow"), reset(id, 8)]))),
    },
    {
      says: "that makes us reset 5,000 streams (MadeYouReset)",
      sends: opening(...times(5_000, (id) => Buffer.concat([request(id, "/slow"), windowUpdate(id, 0)]))),
    },
    {
      says: "that sends 20,000 empty frames",
      sends: opening(post(1), ...times(20_000, () => frame("data", 0, 1, Buffer.alloc(0)))),
    },
    {
      says: "that sends 20,000 PINGs and SETTINGS, and reads nothing",
      sends: opening(...times(20_000, () => Buffer.concat([settings(), ping()]))),
      readsNothing: true,
    },
  ])("$says", closesIn({}));
});

function closesIn(options: OnePortOptions): (attack: Attack) => Promise<void> {
  return async (attack) => {
    const { port, accepted } = await start({ ...options, ...attack.without });
    connect(port, attack);
    // Observed on the server: an attacker that reads nothing does not notice.
    await untilOver(port, () => accepted[0]?.destroyed === true);
  };
}

test("over HTTP/1.1 more than 16 KiB of headers are answered with 431, and the connection is closed", async () => {
  const { port } = await start();
  const attacker = connect(port, {
    says: "",
    sends: `GET /hello HTTP/1.1\r\nHost: a\r\n${"x: more and more of it\r\n".repeat(1_100)}\r\n`,
  });
  expect(await text(attacker)).toMatch(/^HTTP\/1.1 431 /);
});

describe("over HTTP/2 a stream is reset", () => {
  test.for<Attack>([
    { says: "whose body arrives byte by byte", sends: opening(post(1)), again: frame("data", 0, 1, Buffer.from("x")) },
    { says: "whose body never arrives", sends: opening(post(1)) },
    { says: "whose reader opens no window", sends: opening(noWindow(), request(1, "/hello")) },
    {
      says: "whose reader opens no window for what is written again and again",
      sends: opening(noWindow(), request(1, "/torrent")),
    },
    {
      says: "whose reader opens the window byte by byte",
      sends: opening(noWindow(), request(1, "/large")),
      again: windowUpdate(1, 1),
    },
  ])("$says", async (attack) => {
    const { port } = await start({ ...limits, ...noSessionCheck });
    const attacker = connect(port, attack);
    const frames: number[] = [];
    readFrames(attacker, (type) => frames.push(type));
    await untilOver(port, () => frames.includes(frameTypes.rstStream));
  });
});

test("of 5,000 streams opened on one HTTP/2 connection 100 are served at a time", async () => {
  const { port, running } = await start();
  connect(port, { says: "", sends: opening(...times(5_000, (id) => request(id, "/never"))) });
  await untilOver(port, () => running() >= 100);
  for (let n = 0; n < 10; n++) await ask(port);
  expect(running()).toBe(100);
});

describe.each(["/news", "/idle"])("a stream that is read outlives every limit: %s", (path) => {
  test("over HTTP/1.1", async () => {
    const { port } = await start(limits);
    const answer = await get(port, path);
    expect(await lastOf(answer)).toBe("the end");
  });

  test("over HTTP/2", async () => {
    const { port } = await start(limits);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    cleanUp.push(() => session.destroy());
    expect(await lastOf(session.request({ ":path": path }))).toBe("the end");
  });
});

/** How long the test server's streams last: several times the longest limit. */
const streamMs = 1_500;

interface TestServer {
  readonly port: number;
  readonly accepted: readonly net.Socket[];
  /** Requests for /never. */
  readonly running: () => number;
}

async function start(options: OnePortOptions = {}): Promise<TestServer> {
  const app = Fastify({ serverFactory: onePortServerFactory(options) });
  let running = 0;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => {
    payload.resume().on("end", () => done(null));
  });
  app.get("/hello", () => ({ hello: "you" }));
  app.post("/echo", () => ({}));
  app.get("/slow", () => delay(100, {}));
  // More than the kernel buffers while the client does not read.
  app.get("/large", () => Buffer.alloc(16 * 1_048_576));
  app.get("/torrent", (_request, reply) => {
    reply.hijack();
    const timer = setInterval(() => reply.raw.write(Buffer.alloc(1_048_576)), 20);
    reply.raw.once("close", () => clearInterval(timer));
  });
  app.get("/news", (_request, reply) => {
    reply.hijack();
    const timer = setInterval(() => reply.raw.write("news\n"), 50);
    setTimeout(() => {
      clearInterval(timer);
      reply.raw.end("the end");
    }, streamMs);
    reply.raw.once("close", () => clearInterval(timer));
  });
  app.get("/idle", async (_request, reply) => {
    reply.hijack();
    reply.raw.write("hush\n");
    setTimeout(() => reply.raw.end("the end"), streamMs);
  });
  app.get("/never", () => {
    running++;
    return new Promise(() => {});
  });
  const accepted: net.Socket[] = [];
  app.server.on("connection", (socket) => accepted.push(socket));
  await app.listen({ host: "127.0.0.1", port: 0 });
  cleanUp.push(() => {
    app.server.closeAllConnections();
    return app.close();
  });
  return { port: portOf(app.server), accepted, running: () => running };
}

function connect(port: number, { sends, again, readsNothing }: Attack): net.Socket {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }).on("error", () => {});
  if (!readsNothing) socket.resume();
  socket.write(sends);
  const timer = again !== undefined && setInterval(() => socket.writable && socket.write(again), 20);
  cleanUp.push(() => {
    if (timer) clearInterval(timer);
    socket.destroy();
  });
  return socket;
}

/** Waits for the end of an attack, while a legitimate client has to be answered quickly. */
async function untilOver(port: number, isOver: () => boolean): Promise<void> {
  const until = performance.now() + overWithinMs;
  while (!isOver()) {
    expect(performance.now(), "the attack continues").toBeLessThan(until);
    await ask(port);
    await delay(10);
  }
  await ask(port);
}

async function ask(port: number): Promise<void> {
  const askedAt = performance.now();
  const answer = await get(port, "/hello");
  answer.resume();
  expect(answer.statusCode).toBe(200);
  expect(performance.now() - askedAt, "a legitimate client waited").toBeLessThan(1_000);
}

function get(port: number, path: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    http.get({ host: "127.0.0.1", port, path, agent: false }, resolve).on("error", reject);
  });
}

async function lastOf(answer: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString().split("\n").at(-1);
}

function request(stream: number, path: string): Buffer {
  return frame("headers", endHeaders | endStream, stream, fields("GET", path));
}

/** Headers without the body. */
function post(stream: number): Buffer {
  return frame("headers", endHeaders, stream, Buffer.concat([fields("POST", "/echo"), literal("content-type", "a/b")]));
}

/** Incomplete headers. */
function unfinished(stream: number): Buffer {
  return frame("headers", 0, stream, fields("GET", "/hello"));
}

function fields(method: string, path: string): Buffer {
  return headerBlock({ ":method": method, ":scheme": "http", ":path": path, ":authority": "a" });
}

/** For streams 1, 3, 5 ... */
function times(count: number, make: (stream: number) => Buffer): Buffer[] {
  return Array.from({ length: count }, (_, index) => make(2 * index + 1));
}
