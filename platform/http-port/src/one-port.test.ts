import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import cors from "@fastify/cors";
import Fastify, { type FastifyInstance } from "fastify";
import { afterEach, expect, test } from "vitest";
import { type OnePortOptions, type OnePortServer, onePortServerFactory, portOf } from "./one-port.ts";
import { endHeaders, endStream, frame, frameTypes, headerBlock, opening, readFrames } from "./testing/http2-frames.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

test("HTTP/1.1 and HTTP/2 are answered on one port by one handler", async () => {
  const { port } = await start();
  const one = await get1(port, "/hello");
  expect([one.statusCode, await text(one)]).toEqual([200, '{"version":"1.1"}']);
  expect(await get2(connect2(port), "/hello")).toMatchObject({ status: 200, body: '{"version":"2.0"}' });
});

test("over HTTP/2, 404, 400, HEAD, POST and a CORS preflight work as over HTTP/1.1", async () => {
  const { port } = await start();
  const session = connect2(port);
  expect(await get2(session, "/nowhere")).toMatchObject({ status: 404 });
  expect(await get2(session, "/%E0%A4%A")).toMatchObject({ status: 400 });
  expect(await get2(session, "/hello", { ":method": "HEAD" })).toMatchObject({ status: 200, body: "" });
  const echoed = await get2(session, "/echo", { ":method": "POST", "content-type": "application/json" }, '{"a":1}');
  expect(echoed).toMatchObject({ status: 200, body: '{"a":1}' });
  const broken = await get2(session, "/echo", { ":method": "POST", "content-type": "application/json" }, "{");
  expect(broken).toMatchObject({ status: 400 });
  const preflight = { ":method": "OPTIONS", origin: "http://shop.example", "access-control-request-method": "POST" };
  expect(await get2(session, "/hello", preflight)).toMatchObject({ status: 204 });
});

test("a preface that arrives byte by byte is recognised", async () => {
  const { port } = await start();
  const socket = net.connect({ port, noDelay: true });
  const session = http2.connect(`http://127.0.0.1:${port}`, { createConnection: () => oneByteAtATime(socket) });
  cleanUp.push(() => session.destroy());
  expect(await get2(session, "/hello")).toMatchObject({ status: 200 });
});

test("an HTTP/1.1 request that arrives in pieces is answered, also one that begins like the preface", async () => {
  const { port } = await start();
  for (const pieces of [
    ["G", "ET /hel", "lo HTTP/1.1\r\nHos", "t: a\r\n\r\n"],
    ["P", "OST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{", "}"],
  ]) {
    const socket = connect(port);
    for (const piece of pieces) {
      socket.write(piece);
      await delay(5);
    }
    expect(await received(socket, "}")).toContain("HTTP/1.1 200 OK");
  }
});

test("garbage is answered with 400 and a closed connection, and the port keeps serving", async () => {
  const { port } = await start();
  for (const garbage of [
    "\x00\x01\x02\x03garbage\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nNO\r\n\r\n",
    "\x16\x03\x01\x02\x00",
  ]) {
    const socket = connect(port);
    socket.write(garbage, "latin1");
    expect(await text(socket)).toContain("400 Bad Request");
  }
  const noFrames = connect(port);
  noFrames.write(`${preface()}this is not a frame, but longer than one's header`);
  await once(noFrames.resume(), "close");
  expect((await get1(port, "/hello")).statusCode).toBe(200);
});

test("pipelined requests are answered in order", async () => {
  const { port } = await start();
  const socket = connect(port);
  socket.write("GET /slow?n=1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  const answers = await received(socket, '{"version":"1.1"}');
  expect(answers.match(/HTTP\/1.1 200/g)).toHaveLength(2);
  expect(answers.indexOf("slow")).toBeLessThan(answers.indexOf("version"));
});

test.each([
  ["that sends nothing", ""],
  ["that sends half a preface", preface().slice(0, 10)],
])("a connection %s is closed after the sniff timeout", async (_what, bytes) => {
  const { port } = await start({ sniffTimeoutMs: 50 });
  const socket = connect(port);
  socket.write(bytes);
  const began = performance.now();
  await once(socket.resume(), "close");
  expect(performance.now() - began).toBeGreaterThan(30);
  expect((await get1(port, "/hello")).statusCode).toBe(200);
});

test("a request that arrived in time is answered, even if a busy process reads it after the timeout", async () => {
  const { app, port } = await start({ sniffTimeoutMs: 50 });
  const socket = connect(port);
  app.server.once("connection", () => {
    socket.write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    const began = performance.now();
    while (performance.now() - began < 100);
  });
  expect(await received(socket, "}")).toContain("HTTP/1.1 200 OK");
});

test("a reset or end before the version is known does not affect other connections", async () => {
  const { port, app } = await start();
  for (const leave of [(s: net.Socket) => s.resetAndDestroy(), (s: net.Socket) => s.end()]) {
    const socket = connect(port);
    socket.write("PRI * H");
    await expect.poll(() => connectionsOf(app), { interval: 5 }).toBe(1);
    leave(socket);
    await expect.poll(() => connectionsOf(app), { interval: 5 }).toBe(0);
  }
  expect((await get1(port, "/hello")).statusCode).toBe(200);
});

test("an HTTP/2 client that answers a PING while this process is busy is not disconnected", async () => {
  const { port } = await start({ sessionCheckMs: 50, pingTimeoutMs: 60 });
  const session = connect2(port);
  const asked = new Promise<void>((resolve) => {
    session.once("ping", () => {
      const freeAt = performance.now() + 100;
      while (performance.now() < freeAt);
      resolve();
    });
  });
  // A connection without a stream gets no PING.
  const held = get2(session, "/never").catch(() => {});
  await asked;
  expect(await get2(session, "/hello")).toMatchObject({ status: 200 });
  session.destroy();
  await held;
});

test("close() does not wait for idle HTTP/1.1 sockets, HTTP/2 sessions without streams, or silent connections", async () => {
  const { app, port } = await start({ closeGraceMs: 600_000, sniffTimeoutMs: 600_000 });
  const agent = new http.Agent({ keepAlive: true });
  cleanUp.push(() => agent.destroy());
  (await get1(port, "/hello", agent)).resume();
  const session = connect2(port);
  await get2(session, "/hello");
  connect(port);
  await expect.poll(() => connectionsOf(app), { interval: 5 }).toBe(3);
  await app.close();
  expect(await connectionsOf(app)).toBe(0);
});

test("close() lets running requests of both versions complete", async () => {
  const { app, port, slowRequests } = await start({ closeGraceMs: 600_000 });
  const agent = new http.Agent({ keepAlive: true });
  cleanUp.push(() => agent.destroy());
  const session = connect2(port);
  const running = [get1(port, "/slow", agent).then(text), get2(session, "/slow").then(({ body }) => body)];
  await expect.poll(slowRequests, { interval: 5 }).toBe(2);
  await app.close();
  expect(await Promise.all(running)).toEqual(['"slow"', '"slow"']);
});

test("announceClose() ends connections of both versions with their requests, and new ones are served", async () => {
  const { app, port, slowRequests } = await start();
  const agent = new http.Agent({ keepAlive: true });
  cleanUp.push(() => agent.destroy());
  const session = connect2(port);
  const running = [get1(port, "/slow", agent), get2(session, "/slow")] as const;
  await expect.poll(slowRequests, { interval: 5 }).toBe(2);
  (app.server as OnePortServer).announceClose();
  await once(session, "goaway");
  const [over1, over2] = await Promise.all(running);
  expect([over1.headers.connection, await text(over1), over2.body]).toEqual(["close", '"slow"', '"slow"']);
  expect((await get1(port, "/hello", agent)).resume().headers.connection).toBe("close");
  expect(await get2(connect2(port), "/hello")).toMatchObject({ status: 200 });
});

test("close() ends a request after the grace period", async () => {
  const { app, port, endlessRequests } = await start({ closeGraceMs: 50 });
  const session = connect2(port);
  const running = [get1(port, "/never"), get2(session, "/never")];
  const outcome = Promise.allSettled(running);
  await expect.poll(endlessRequests, { interval: 5 }).toBe(2);
  await app.close();
  expect((await outcome).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("close() ends an HTTP/2 connection after the grace period if the client does not close its end", async () => {
  const { app, port } = await start({ closeGraceMs: 50 });
  const socket = connect(port);
  const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
  socket.write(preface() + settings, "latin1");
  await once(socket, "data");
  await app.close();
});

// Node neither writes nor reads any more then: it never learns that the client has gone, and does not end the session.
test("an HTTP/2 client that broke the protocol after a GOAWAY, during a request, is forgotten once it has gone", async () => {
  const { app, port, endlessRequests } = await start({ sessionCheckMs: 50 });
  const socket = connect(port);
  const request = { ":method": "GET", ":scheme": "http", ":path": "/never", ":authority": "a" };
  socket.write(opening(frame("headers", endHeaders | endStream, 1, headerBlock(request))));
  await expect.poll(endlessRequests, { interval: 5 }).toBe(1);
  const refused = new Promise<void>((resolve) => {
    readFrames(socket, (type) => {
      if (type === frameTypes.goaway) resolve();
    });
  });
  socket.write(Buffer.concat([frame("goaway", 0, 0, Buffer.alloc(8)), frame("pushPromise", endHeaders, 7)]));
  await refused;
  socket.destroy();
  const connections = promisify(app.server.getConnections).bind(app.server);
  await expect.poll(() => connections()).toBe(0);
});

test("HTTP/2 SETTINGS announce the limits of streams and header bytes", async () => {
  const { port } = await start();
  const session = connect2(port);
  await once(session, "remoteSettings");
  expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16_384 });
});

function preface(): string {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
}

async function start(
  options: OnePortOptions = {},
): Promise<{ app: FastifyInstance; port: number; slowRequests: () => number; endlessRequests: () => number }> {
  const app = Fastify({ serverFactory: onePortServerFactory(options) });
  await app.register(cors);
  app.get("/hello", (request) => ({ version: request.raw.httpVersion }));
  app.post("/echo", (request) => request.body);
  let slow = 0;
  app.get("/slow", async () => {
    slow++;
    await delay(100);
    return JSON.stringify("slow");
  });
  let never = 0;
  app.get("/never", () => {
    never++;
    return new Promise(() => {});
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  cleanUp.push(() => app.close());
  return { app, port: portOf(app.server), slowRequests: () => slow, endlessRequests: () => never };
}

/** The number of open connections of a port. */
function connectionsOf({ server }: FastifyInstance): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
}

function connect(port: number): net.Socket {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }).on("error", () => {});
  cleanUp.push(() => socket.destroy());
  return socket;
}

/** Everything received up to the answer's last bytes. */
async function received(socket: net.Socket, last: string): Promise<string> {
  let all = "";
  for await (const chunk of socket) {
    all += chunk;
    if (all.includes(last)) return all;
  }
  throw new Error(`closed after ${all}`);
}

function get1(port: number, path: string, agent?: http.Agent): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { port, path, ...(agent && { agent }) };
    http.get({ host: "127.0.0.1", ...options }, resolve).on("error", reject);
  });
}

function connect2(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`).on("error", () => {});
  cleanUp.push(() => session.destroy());
  return session;
}

async function get2(
  session: http2.ClientHttp2Session,
  path: string,
  headers: http2.OutgoingHttpHeaders = {},
  body?: string,
): Promise<{ status: number | undefined; body: string }> {
  const stream = session.request({ ":path": path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  const response = once(stream, "response");
  const closedEarly = once(stream, "close").then(() => Promise.reject(new Error("closed without an answer")));
  closedEarly.catch(() => {});
  const [answer] = await Promise.race([response, closedEarly]);
  return { status: answer[":status"], body: await text(stream) };
}

function oneByteAtATime(socket: net.Socket): net.Socket {
  const write = socket._write.bind(socket);
  socket._write = (chunk: Buffer, encoding, done) => {
    if (chunk.byteLength <= 1) return write(chunk, encoding, done);
    write(chunk.subarray(0, 1), encoding, (error) =>
      error ? done(error) : setTimeout(() => socket._write(chunk.subarray(1), encoding, done), 1),
    );
  };
  return socket;
}
