import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import {
  createListenerGuard,
  FrameReader,
  FrameWriter,
  frameType,
  type MuxCall,
  muxPreface,
  type OnePortOptions,
  OnePortServer,
  portOf,
} from "@shop/http-port";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { type MuxLink, type MuxOutcome, openMuxLink } from "./mux-link.ts";
import { MuxLinks } from "./mux-links.ts";

const options = { connectTimeoutMs: 1_000, guard: createListenerGuard(() => {}) };
const head = { method: "POST", path: "/x", headers: { "x-own": "ä" } };

/** A port that answers calls of multiplexed connections, and HTTP with 204. */
async function serve(answersMux: NonNullable<OnePortOptions["answersMux"]>, more: OnePortOptions = {}) {
  const server = new OnePortServer({ answersMux, ...more }, (_request, response) => void response.writeHead(204).end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  return { server, origin: `http://127.0.0.1:${portOf(server)}` };
}

async function openLink(origin: string): Promise<MuxLink> {
  const { link } = await openMuxLink(origin, options);
  onTestFinished(() => link.close());
  return link;
}

const ask = (link: MuxLink, body = "") =>
  new Promise<MuxOutcome>((resolve) => void link.call(head, Buffer.from(body), resolve));

const echo = (call: MuxCall) =>
  call.answer(201, { "x-own": call.headers["x-own"], "set-cookie": ["a=1", "b=2"] }, call.body, { "grpc-status": "0" });

test("concurrent calls on one connection each get their own answer, with its headers and trailers, in any order", async () => {
  const waiting: MuxCall[] = [];
  const { origin } = await serve((call) => {
    waiting.push(call);
    if (waiting.length === 100) for (const one of waiting.toReversed()) echo(one);
  });
  const link = await openLink(origin);
  const bodies = Array.from({ length: 100 }, (_, n) => String(n).repeat(n * 6));
  const outcomes = await Promise.all(bodies.map((body) => ask(link, body)));
  expect(outcomes.map((outcome) => outcome.kind === "answered" && String(outcome.answer.body))).toEqual(bodies);
  expect(outcomes[0]).toMatchObject({
    answer: { status: 201, headers: { "x-own": "ä", "set-cookie": ["a=1", "b=2"] }, trailers: { "grpc-status": "0" } },
  });
});

test("answers of any length arrive whole, among others", async () => {
  const lengths = [0, 1, 65_000, 65_536, 300_000, 5_000_000];
  const { origin } = await serve((call) => call.answer(200, {}, Buffer.alloc(Number(String(call.body)), "x"), {}));
  const link = await openLink(origin);
  const outcomes = await Promise.all([...lengths, ...lengths].map((length) => ask(link, String(length))));
  const answered = outcomes.map((outcome) => outcome.kind === "answered" && String(outcome.answer.body));
  expect(answered).toEqual([...lengths, ...lengths].map((length) => "x".repeat(length)));
});

test("a link says which requests it can carry, since a longer one breaks the connection", async () => {
  const { origin } = await serve(echo);
  const link = await openLink(origin);
  expect(link.carries(head, 65_536)).toBe(true);
  expect(link.carries(head, 65_537)).toBe(false);
  const long = (length: number, character = '"') => ({
    ...head,
    headers: { x: character.repeat(length), y: ["a", "b"] },
  });
  const most = Array.from({ length: 40_000 }, (_, n) => n).findLast((length) => link.carries(long(length), 0))!;
  for (const character of ['"', "\u00ff"]) {
    const outcome = await new Promise(
      (resolve) => void link.call(long(most, character), Buffer.alloc(65_536), resolve),
    );
    expect(outcome).toMatchObject({ kind: "answered" });
  }
  const beyond = await new Promise((resolve) => void link.call(long(40_000), Buffer.alloc(0), resolve));
  expect(beyond).toMatchObject({ kind: "broken" });
});

test("frames are read whole, however the bytes of a connection are divided", () => {
  const sent: Buffer[] = [];
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(2 ** 32 - 1), fc.string(), fc.uint8Array())),
      fc.infiniteStream(fc.nat(20)),
      (frames, cuts) => {
        sent.length = 0;
        vi.useFakeTimers({ toFake: ["setImmediate"] });
        const writer = new FrameWriter((bytes, written) => {
          sent.push(Buffer.from(bytes));
          written();
        });
        for (const [id, text, body] of frames) writer.send(frameType.answer, id, { text }, body);
        vi.runAllTimers();
        vi.useRealTimers();
        const all = Buffer.concat(sent);
        const reader = new FrameReader({ maxBytes: 10_000, maxHeadBytes: 10_000 });
        const read = [];
        for (let at = 0; at < all.length; ) {
          const to = at + 1 + cuts.next().value!;
          read.push(...reader.read(all.subarray(at, to)));
          at = to;
        }
        expect(read.map(({ id, head, body }) => [id, (head as { text: string }).text, [...body]])).toEqual(
          frames.map(([id, text, body]) => [id, text.toWellFormed(), [...body]]),
        );
      },
    ),
  );
});

test("a server that speaks HTTP only is recognised, and not asked again for a while", async () => {
  const server = createHttpServer((_request, response) => void response.end());
  let prefaces = 0;
  server.on("clientError", (_error, socket) => {
    prefaces++;
    socket.destroy();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(openMuxLink(origin, options)).rejects.toMatchObject({ speaksHttpOnly: true });
  const links = new MuxLinks(origin, options);
  expect(links.take()).toBeUndefined();
  await vi.waitFor(() => expect(prefaces).toBe(2));
  await fetch(origin);
  for (let call = 0; call < 10; call++) expect(links.take()).toBeUndefined();
  await fetch(origin);
  expect(prefaces).toBe(2);
});

test("a port that does not multiplex answers the preface as a malformed request", async () => {
  const server = new OnePortServer({}, (_request, response) => void response.end());
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  const socket = connect(portOf(server), "127.0.0.1");
  socket.write(muxPreface);
  expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 400 /);
});

/**
 * A port shared by `workers` processes. Each connection leads to the next of `turns`; the last one gets all further ones.
 * `open` has the process of each open connection.
 */
async function serveInTurn(workers: number, turns: (string | undefined)[]) {
  const [sockets, counted] = [new Map<Socket, string | undefined>(), { connections: 0 }];
  const server = createServer((socket) => {
    counted.connections++;
    const worker = turns.length > 1 ? turns.shift() : turns[0];
    sockets.set(socket, worker);
    socket.on("close", () => sockets.delete(socket)).on("error", () => {});
    socket.once("data", () => {
      const hello = { workers, worker, maxHeadBytes: 1_000, maxBodyBytes: 1_000 };
      socket.write(Buffer.concat([muxPreface, frame(frameType.hello, 0, JSON.stringify(hello))]));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets.keys()) socket.destroy();
    server.close();
  });
  const kill = (killed: string) => {
    for (const [socket, worker] of sockets) if (worker === killed) socket.destroy();
  };
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const links = new MuxLinks(origin, options);
  onTestFinished(() => links.close());
  return { origin, links, counted, kill, open: () => [...sockets.values()] };
}

/** The workers that the links lead to which calls get in turn, one for each link. */
function workersOf(links: MuxLinks): (string | undefined)[] {
  const taken = new Set(Array.from({ length: 30 }, () => links.take()));
  return [...taken].map((link) => link?.worker).sort();
}

test("a replica gets one link for each of its workers, though its connections lead to the same ones first", async () => {
  const { origin, links, counted, open } = await serveInTurn(3, ["a", "a", "a", "b", "a", "b", "c", "a"]);
  await vi.waitFor(() => {
    expect(workersOf(links)).toEqual(["a", "b", "c"]);
    expect(open()).toEqual(["a", "b", "c"]);
  });
  const { connections } = counted;
  workersOf(links);
  // Accepted after those that calls would have opened.
  await openLink(origin);
  expect(counted.connections).toBe(connections + 1);
});

test("when a worker dies, its link is replaced by one to the worker that takes its place", async () => {
  const { links, kill, open } = await serveInTurn(2, ["a", "b", "b", "b", "c", "b"]);
  await vi.waitFor(() => expect(workersOf(links)).toEqual(["a", "b"]));
  kill("a");
  await vi.waitFor(
    () => {
      expect(workersOf(links)).toEqual(["b", "c"]);
      expect(open()).toEqual(["b", "c"]);
    },
    { timeout: 5_000 },
  );
});

test("while only one of two workers takes connections, the attempts to reach the other are limited", async () => {
  const { origin, links, counted, open } = await serveInTurn(2, ["a"]);
  await vi.waitFor(() => {
    links.take();
    expect(counted.connections).toBe(5);
    expect(open()).toEqual(["a"]);
  });
  expect(workersOf(links)).toEqual(["a"]);
  await openLink(origin);
  expect(counted.connections).toBe(6);
});

test("a replica whose workers do not name themselves, of an older release, gets as many links as it has workers", async () => {
  const { links, counted } = await serveInTurn(2, [undefined]);
  await vi.waitFor(() => expect(workersOf(links)).toEqual([undefined, undefined]));
  expect(counted.connections).toBe(2);
});

test("a port names the process that it is in", async () => {
  const [one, other] = [await serve(echo), await serve(echo)];
  const link = await openLink(one.origin);
  expect(link.worker).toMatch(/./);
  expect((await openLink(other.origin)).worker).toBe(link.worker);
});

test("when the caller gives up, the call ends in the server", async () => {
  const { promise: code, resolve } = Promise.withResolvers<number>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { origin } = await serve((call) => {
    call.onClose(resolve);
    begin();
  });
  const link = await openLink(origin);
  const cancel = link.call(head, Buffer.from(""), () => expect.unreachable());
  await begun;
  cancel(8);
  expect(await code).toBe(8);
});

test("calls end in the server when the connection is lost, and break in the client when the server is", async () => {
  const calls: MuxCall[] = [];
  const { server, origin } = await serve((call) => void calls.push(call));
  const [link, other] = [await openLink(origin), await openLink(origin)];
  const broken = ask(other);
  void ask(link);
  await vi.waitFor(() => expect(calls).toHaveLength(2));
  const gone = new Promise((resolve) => calls[1]!.onClose(resolve));
  link.close();
  await gone;
  server.closeAllConnections();
  expect(await broken).toMatchObject({ kind: "broken" });
  expect(other.isOpen).toBe(false);
});

test("a port that closes answers the calls that have begun, declines later ones, and then closes the connection", async () => {
  const calls: MuxCall[] = [];
  const { server, origin } = await serve((call) => void calls.push(call));
  const onLeaving = vi.fn();
  const { link } = await openMuxLink(origin, { ...options, onLeaving });
  const first = ask(link, "first");
  await vi.waitFor(() => expect(calls).toHaveLength(1));
  server.close();
  // Sent before the client can know.
  const second = ask(link);
  expect(await second).toEqual({ kind: "declined" });
  expect(link.isOpen).toBe(false);
  expect(onLeaving).toHaveBeenCalledOnce();
  const closed = once(server, "close");
  echo(calls[0]!);
  expect(await first).toMatchObject({ kind: "answered" });
  await closed;
  expect(calls).toHaveLength(1);
});

test("a connection without calls is closed after a while, which says nothing of the port", async () => {
  const { origin } = await serve(echo, { sessionCheckMs: 20 });
  const onLeaving = vi.fn();
  const { link } = await openMuxLink(origin, { ...options, onLeaving });
  await vi.waitFor(() => expect(link.isOpen).toBe(false));
  expect(onLeaving).not.toHaveBeenCalled();
});

test("an exception or rejection in a call resets that call alone, and is reported", async () => {
  const onNetworkError = vi.fn();
  const { origin } = await serve(
    (call) => {
      if (String(call.body) === "throw") throw new Error("a bug");
      if (String(call.body) === "reject") return Promise.reject(new Error("a bug"));
      return echo(call);
    },
    { onNetworkError },
  );
  const link = await openLink(origin);
  const kinds = await Promise.all(["throw", "fine", "reject"].map(async (body) => (await ask(link, body)).kind));
  expect(kinds).toEqual(["broken", "answered", "broken"]);
  expect(onNetworkError).toHaveBeenCalledTimes(2);
});

test("a call may take long, but a connection whose bytes are dropped without notice is closed while calls wait on it", async () => {
  const calls: MuxCall[] = [];
  const { origin } = await serve((call) => void calls.push(call));
  let [isCut, pings] = [false, 0];
  const sockets: Socket[] = [];
  const proxy = createServer((client) => {
    const upstream = connect(Number(new URL(origin).port), "127.0.0.1");
    sockets.push(client, upstream);
    client.on("data", (chunk) => {
      if (isCut) return;
      upstream.write(chunk);
      // Pings, once the call has been seen. They go on for longer than the silence that is tolerated.
      if (calls.length === 1 && ++pings === 10) echo(calls[0]!);
    });
    upstream.on("data", (chunk) => void (isCut || client.write(chunk)));
    for (const socket of [client, upstream]) socket.on("error", () => {});
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const proxied = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const { link } = await openMuxLink(proxied, { ...options, silentMs: 600 });
  expect(await ask(link)).toMatchObject({ kind: "answered" });
  isCut = true;
  expect(await ask(link)).toMatchObject({ kind: "broken" });
});

test("a process that was frozen for longer than the tolerated silence does not break its calls", async () => {
  const calls: MuxCall[] = [];
  const { origin } = await serve((call) => void calls.push(call));
  const { link } = await openMuxLink(origin, { ...options, silentMs: 300 });
  const asked = ask(link);
  await vi.waitFor(() => expect(calls).toHaveLength(1));
  const frozenUntil = performance.now() + 1_000;
  while (performance.now() < frozenUntil);
  // Timers run first, then what has arrived is read.
  setImmediate(() => void echo(calls[0]!));
  expect(await asked).toMatchObject({ kind: "answered" });
});

/** Sends bytes after the preface; resolves when the port has closed the connection, or with its next frame. */
async function outcomeOf(origin: string, bytes: Uint8Array): Promise<string> {
  const socket = connect(Number(new URL(origin).port), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => {});
  const closed = once(socket, "close").then(() => "closed");
  const answered = new Promise<string>((resolve) => {
    let seen = 0;
    // The first are preface and hello.
    socket.on("data", () => void (++seen > 2 && resolve("answered")));
  });
  socket.write(muxPreface);
  await once(socket, "data");
  socket.write(bytes);
  return await Promise.race([closed, answered]);
}

function frame(type: number, id: number, head: string, body = "", length = head.length + body.length): Buffer {
  const prefix = Buffer.alloc(13);
  prefix.writeUInt32BE(length, 0);
  prefix[4] = type;
  prefix.writeUInt32BE(id, 5);
  prefix.writeUInt32BE(head.length, 9);
  return Buffer.concat([prefix, Buffer.from(head + body)]);
}

const request = (more: object) => JSON.stringify({ method: "POST", path: "/x", headers: {}, ...more });

test.each<[string, Buffer]>([
  ["a frame that is too long", frame(1, 1, request({}), "", 2 ** 31)],
  ["a head that is too long", frame(1, 1, request({ headers: { a: "x".repeat(70_000) } }))],
  ["a head longer than its frame", frame(1, 1, request({}), "", 3)],
  ["a head that is not JSON", frame(1, 1, "{")],
  ["a head that is not an object", frame(1, 1, "1")],
  ["no head", frame(1, 1, "")],
  ["a method with a line break", frame(1, 1, request({ method: "GET\r\n" }))],
  ["a path with a space", frame(1, 1, request({ path: "/x y" }))],
  ["a header name in upper case", frame(1, 1, request({ headers: { Host: "a" } }))],
  ["a header with a line break", frame(1, 1, request({ headers: { host: "a\r\nb: c" } }))],
  ["a header beyond latin1", frame(1, 1, request({ headers: { host: "€" } }))],
  ["a header that is a number", frame(1, 1, request({ headers: { host: 1 } }))],
  ["a repeated header with an object", frame(1, 1, request({ headers: { host: ["a", {}] } }))],
  ["the id of a call that has not ended", Buffer.concat([frame(1, 1, request({})), frame(1, 1, request({}))])],
  ["a frame that only servers send", frame(2, 1, "{}")],
  ["an unknown frame", frame(99, 1, "")],
])("%s closes the connection, and nothing is called by it", async (_what, bytes) => {
  const onNetworkError = vi.fn();
  const { origin } = await serve(() => {}, { onNetworkError });
  expect(await outcomeOf(origin, bytes)).toBe("closed");
  expect(onNetworkError.mock.calls.filter(([{ kind }]) => kind === "exception")).toEqual([]);
  expect((await fetch(origin)).status).toBe(204);
});

test("no bytes after the preface end the process or reach a call unchecked", async () => {
  const onNetworkError = vi.fn();
  const { origin } = await serve(echo, { onNetworkError });
  const frames = fc.tuple(fc.nat(10), fc.nat(3), fc.oneof(fc.json(), fc.constant(request({}))), fc.string());
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 13 }).map((array) => Buffer.from(array)),
    fc
      .array(
        frames.map(([type, id, head, body]) => frame(type, id, head, body)),
        { minLength: 1 },
      )
      .map(Buffer.concat),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const socket = connect(Number(new URL(origin).port), "127.0.0.1").on("error", () => {});
      socket.resume().end(Buffer.concat([muxPreface, sent]));
      await once(socket, "close");
    }),
    { numRuns: 200 },
  );
  expect(onNetworkError.mock.calls.filter(([{ kind }]) => kind === "exception")).toEqual([]);
  expect((await fetch(origin)).status).toBe(204);
});
