import { once } from "node:events";
import * as net from "node:net";
import { text } from "node:stream/consumers";
import { endHeaders, endStream, frame, frameTypes, literal, opening } from "@shop/http-port/testing/http2-frames";
import fc from "fast-check";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { answerOf, type RecordedRequest, RecordingUpstream, readRequests } from "./testing/recording-upstream.ts";
import { forwarding, openTestPort } from "./testing/test-port.ts";

const list = "/admin/dead-letters";
const rpc = "/shop.common.v1.DeadLetterService/ListDeadLetters";
/** Hidden in bodies: no upstream may ever parse it as a request. */
const smuggled = "DELETE /admin/dead-letters/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

let upstream: RecordingUpstream;
let port: number;
let ownPort: number;
beforeEach(async () => {
  upstream = new RecordingUpstream();
  onTestFinished(() => upstream.close());
  ({ port } = await openTestPort(forwarding(await upstream.listen())));
  ({ port: ownPort } = await openTestPort());
});

/** Sends bytes over a new connection; returns everything received until the port closed it. */
async function talk(to: number, bytes: string, endsHalfway = false): Promise<string> {
  const socket = net.connect({ port: to, host: "127.0.0.1" }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  socket.write(bytes, "latin1");
  if (endsHalfway) socket.end();
  return await text(socket).catch(() => "");
}

/** A request that the port answers itself, and then closes the connection. */
const last = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const statuses = (answers: string) =>
  [...answers.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));

/** A legitimate request, over the upstream connections that the attacks used before: gets its own answer. */
async function askHonestly(): Promise<void> {
  const path = `${list}?page_token=${crypto.randomUUID()}`;
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  expect([response.status, await response.json()]).toEqual([200, { nextPageToken: path }]);
  const asked = upstream.requests.filter((request) => request.path === path);
  expect(asked).toMatchObject([{ method: "GET", body: "" }]);
}

const withBody = (line: string, headers: string, body = smuggled) =>
  `${line} HTTP/1.1\r\nHost: a\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

describe("a request that another server could frame or read differently is answered once, with an error, and never forwarded:", () => {
  const names = [
    ..."content-length transfer-encoding host authorization content-type content-encoding cookie expect connection".split(
      " ",
    ),
    ...":path :method x-forwarded-for forwarded traceparent idempotency-key if-match connect-timeout-ms".split(" "),
    ..."x-shop-internal x-unknown".split(" "),
  ];
  const chunked = `Transfer-Encoding: chunked\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;
  test.for<readonly [string, string]>([
    ...names.flatMap((name): [string, string][] => [
      [`Connection: ${name}`, withBody(`POST ${rpc}`, `Connection: ${name}\r\nContent-Type: application/json\r\n`)],
      [`GET with Connection: ${name}`, `GET ${list} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, ${name}\r\n\r\n`],
    ]),
    ["Connection twice", withBody(`POST ${rpc}`, "Connection: close\r\nConnection: Content-Length\r\n")],
    ["Connection with a quoted name", withBody(`POST ${rpc}`, 'Connection: "content-length"\r\n')],
    ["the reported attack", withBody(`GET ${list}`, "Connection: content-length\r\n")],
    ...["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "QUERY"].flatMap((method): [string, string][] => [
      [`${method} with a body`, withBody(`${method} ${list}`, "")],
      [`${method} with chunks`, `${method} ${list} HTTP/1.1\r\nHost: a\r\n${chunked}`],
      [
        `${method} with no chunk`,
        `${method} ${list} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      ],
      [`${method} on an RPC path`, withBody(`${method} ${rpc}?connect=v1&encoding=json&message=%7B%7D`, "")],
    ]),
    ["a length and chunks", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n${chunked}`],
    ["two lengths", withBody(`POST ${rpc}`, "Content-Length: 3\r\n")],
    ["two lengths in one", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc`],
    ["a length with a sign", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc`],
    ["an empty length", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n${smuggled}`],
    ["another coding", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["no coding", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n${smuggled}`],
    ["chunks in HTTP/1.0", `POST ${rpc} HTTP/1.0\r\nHost: a\r\n${chunked}`],
    ["a folded line", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n`],
    ["a folded coding", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`],
    ["a bare LF", `GET ${list} HTTP/1.1\r\nHost: a\nX: y\r\n\r\n`],
    ["lines that end in LF", `GET ${list} HTTP/1.1\nHost: a\n\n`],
    ["a bare CR", `GET ${list} HTTP/1.1\r\nHost: a\rX: y\r\n\r\n`],
    ["a space before the colon", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc`],
    ["NUL in a header", `GET ${list} HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n`],
    ["chunks that end in LF", `POST ${rpc} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n`],
    ["HTTP/0.9", `GET ${list}\r\n\r\n`],
    ["HTTP/2.0 in a request line", `GET ${list} HTTP/2.0\r\nHost: a\r\n\r\n`],
    ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"],
    ["an unknown method", `FETCH ${list} HTTP/1.1\r\nHost: a\r\n\r\n`],
    ["no Host", `GET ${list} HTTP/1.1\r\n\r\n`],
    ["two Hosts", `GET ${list} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`],
  ])("%s", async ([, bytes]) => {
    for (const to of [port, ownPort]) {
      // The bytes after it on the connection are not parsed as a request either.
      const answers = await talk(to, `${bytes}GET ${list}?page_token=next HTTP/1.1\r\nHost: a\r\n\r\n`);
      // No RPC protocol uses DELETE; each answers 405.
      const status = bytes.startsWith(`DELETE ${rpc}`) ? 405 : bytes.startsWith("FETCH") ? 501 : 400;
      expect(statuses(answers), answers).toEqual([status]);
      expect(answers).toMatch(/\r\nconnection: close\r\n/i);
    }
    expect(upstream.requests).toEqual([]);
    await askHonestly();
  });
});

test.for<readonly [string, string, string]>([
  ["Connect", "Content-Type: application/json\r\nConnect-Protocol-Version: 1\r\n", '{"code":"invalid_argument"'],
  ["gRPC-Web", "Content-Type: application/grpc-web+proto\r\n", "grpc-status: 3"],
  ["REST", "", '{"code":3,'],
])("the refusal is encoded for %s", async ([protocol, headers, expected]) => {
  const path = protocol === "REST" ? list : rpc;
  expect(await talk(port, withBody(`POST ${path}`, `${headers}Connection: host\r\n`))).toContain(expected);
});

describe("an unambiguously framed request is forwarded unchanged:", () => {
  test.for<readonly [string, string, Partial<RecordedRequest>]>([
    ["Content-Length: 0 is no body", `GET ${list} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`, { method: "GET" }],
    [
      "options of the connection",
      `GET ${list} HTTP/1.1\r\nHost: a\r\nConnection: TE, close,, Upgrade ,HTTP2-Settings\r\nTE: trailers\r\nUpgrade: h2c\r\n\r\n`,
      { method: "GET" },
    ],
    ["a message", withBody(`POST ${rpc}`, "Content-Type: application/json\r\n", "{}"), { method: "POST", body: "{}" }],
    [
      "a message in chunks, with extensions and trailers",
      `POST ${rpc} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX-Shop-Internal: me\r\n\r\n`,
      { method: "POST", body: "{}" },
    ],
    [
      "a long message",
      withBody(`POST ${rpc}`, "Content-Type: application/json\r\n", `{${" ".repeat(60_000)}}`),
      { method: "POST", body: `{${" ".repeat(60_000)}}` },
    ],
    ["a request as a message", withBody(`POST ${rpc}`, "", smuggled), { method: "POST", body: smuggled }],
  ])("%s", async ([, bytes, seen]) => {
    const closes = bytes.includes("Upgrade");
    expect(statuses(await talk(port, closes ? bytes : bytes + last))).toEqual(closes ? [200] : [200, 200]);
    expect(upstream.requests).toMatchObject([seen]);
    const names = upstream.requests[0]!.headers.map(([name]) => name.toLowerCase());
    const framing = names.filter((name) => /^(content-length|transfer-encoding|trailer|upgrade)$/.test(name));
    expect(framing).toHaveLength(seen.method === "GET" ? 0 : 1);
    expect(names).not.toContain("x-shop-internal");
  });
});

test("a connection that requested an upgrade is closed with the answer, since Node loses the bytes after it", async () => {
  const upgrade = `GET ${list} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const answers = await talk(port, `${upgrade}POST ${rpc} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n`);
  expect(statuses(answers)).toEqual([200]);
  expect(answers).toMatch(/\r\nconnection: close\r\n/i);
});

const pseudo = (method: string, path: string) => ({
  ":method": method,
  ":scheme": "http",
  ":path": path,
  ":authority": "a",
});

function http2Request(
  stream: number,
  fields: Readonly<Record<string, string>>,
  data: readonly string[],
  ends: boolean,
): Buffer {
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)));
  const head = frame("headers", endHeaders | (ends && data.length === 0 ? endStream : 0), stream, block);
  const bodies = data.map((content, index) =>
    frame("data", ends && index === data.length - 1 ? endStream : 0, stream, Buffer.from(content, "latin1")),
  );
  return Buffer.concat([head, ...bodies]);
}

/** Sends frames over a new connection; resolves when each of the streams has ended, or the connection has. */
async function sendFrames(to: number, ended: readonly number[], ...frames: readonly Buffer[]): Promise<void> {
  const socket = net.connect({ port: to, host: "127.0.0.1" }).on("error", () => {});
  onTestFinished(() => void socket.destroy());
  const open = new Set(ended);
  const closed = once(socket, "close");
  let bytes = Buffer.alloc(0);
  const over = new Promise<void>((resolve) => {
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (; bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3); ) {
        const [type, flags, stream] = [bytes[3]!, bytes[4]!, bytes.readUInt32BE(5)];
        const ends = type === frameTypes.rstStream || (type <= frameTypes.headers && (flags & endStream) !== 0);
        if (ends) open.delete(stream);
        bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3));
      }
      if (open.size === 0) resolve();
    });
  });
  socket.write(opening(...frames));
  await Promise.race([open.size === 0 ? undefined : over, closed]);
  socket.destroy();
}

describe("over HTTP/2", () => {
  const refused: [string, Record<string, string>, readonly string[]][] = [
    ...["GET", "HEAD", "DELETE", "OPTIONS"].flatMap((method): [string, Record<string, string>, readonly string[]][] => [
      [`${method} with DATA`, pseudo(method, list), [smuggled]],
      [`${method} with a length`, { ...pseudo(method, list), "content-length": "5" }, ["", "hello"]],
    ]),
    ["Connection", { ...pseudo("POST", rpc), connection: "content-length" }, [smuggled]],
    ["Transfer-Encoding", { ...pseudo("POST", rpc), "transfer-encoding": "chunked" }, ["0\r\n\r\n"]],
    ["Upgrade", { ...pseudo("GET", list), upgrade: "h2c" }, []],
    ["a length that is too short", { ...pseudo("POST", rpc), "content-length": "1" }, [smuggled]],
    ["a length that is too long", { ...pseudo("POST", rpc), "content-length": "100" }, ["{}"]],
    ["two hosts", { ...pseudo("GET", list), host: "b" }, []],
    ["CONNECT", { ":method": "CONNECT", ":authority": "a" }, []],
  ];
  test.for(refused)("%s is never forwarded", async ([, fields, data]) => {
    for (const to of [port, ownPort]) await sendFrames(to, [1], http2Request(1, fields, data, true));
    await askHonestly();
    expect(upstream.requests).toHaveLength(1);
  });

  test.for(["GET", "DELETE"])("an empty DATA frame that ends a %s is not a body", async (method) => {
    const path = method === "GET" ? list : "/admin/dead-letters/1";
    await sendFrames(port, [1], http2Request(1, pseudo(method, path), ["", ""], true));
    expect(upstream.requests).toMatchObject([{ method, path, body: "" }]);
  });
});

/** Valid and invalid parts of requests, and bytes that are neither. */
const headerLines = fc.constantFrom(
  ...["Content-Length: 0", "Content-Length: 3", `Content-Length: ${smuggled.length}`, "Content-Length: +3"],
  ...["Content-Length: 3, 3", "content-length : 3", "Content-Length: 0x3", "Content-Length: 1000"],
  ...["Transfer-Encoding: chunked", "transfer-encoding: Chunked", "Transfer-Encoding: gzip, chunked"],
  ...["Transfer-Encoding: identity", "Transfer-Encoding:\r\n chunked", "Transfer-Encoding: chunked\r\nX: y"],
  ...["Connection: close", "Connection: keep-alive", "Connection: content-length", "Connection: transfer-encoding, te"],
  ...["Connection: host", "Connection: Upgrade\r\nUpgrade: h2c", "Connection: te\r\nTE: trailers", "Keep-Alive: max=1"],
  ...["Host: b", "X: a\nContent-Length: 3", "X: a\0", "Content-Type: application/json", "Trailer: content-length"],
  ...["X-Forwarded-For: 1.2.3.4", "X-HTTP-Method-Override: DELETE", "Expect: 100-continue", "Expect: wonders"],
);
const inChunks = (body: string) => `${body.length.toString(16)};x=y\r\n${body}\r\n0\r\n\r\n`;
const message = fc
  .record({
    method: fc.constantFrom("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "TRACE", "get"),
    path: fc.constantFrom(list, rpc, `${list}/1:replay`, `${rpc}?connect=v1&encoding=json&message=%7B%7D`),
    version: fc.constantFrom("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 "),
    host: fc.constantFrom("Host: a\r\n", "Host: a\r\n", ""),
    lines: fc.array(headerLines, { maxLength: 4 }),
    body: fc.constantFrom("", "{}", "abc", smuggled, inChunks("{}"), inChunks(smuggled), `0\r\n\r\n${smuggled}`),
  })
  .map(({ method, path, version, host, lines, body }) => {
    return `${method} ${path} ${version}\r\n${host}${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
  });
/** A few bytes changed at random. */
const corrupted = fc
  .tuple(
    message,
    fc.array(fc.tuple(fc.nat(), fc.constantFrom("\r", "\n", "\0", " ", ":", ",", "0", "\xff")), { maxLength: 2 }),
  )
  .map(([bytes, changes]) =>
    changes.reduce((spoiling, [at, byte]) => {
      const index = at % spoiling.length;
      return spoiling.slice(0, index) + byte + spoiling.slice(index + 1);
    }, bytes),
  );

describe("whatever bytes a caller sends,", () => {
  test("over HTTP/1.1 the upstream receives only that caller's requests, each at most once, as its own parser reads them", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(message, corrupted), { minLength: 1, maxLength: 3 }), async (messages) => {
        upstream.requests.length = 0;
        const bytes = messages.join("") + last;
        const meant = readRequests(bytes);
        const answers = await talk(port, bytes, meant.rest !== "");
        const seen = [...upstream.requests];
        expect(seen.length).toBeLessThanOrEqual(Math.max(statuses(answers).length, meant.requests.length));
        const left = meant.requests.map(essence);
        for (const one of seen.map(essence)) {
          expect(left).toContain(one);
          left.splice(left.indexOf(one), 1);
        }
        for (const { headers } of seen) {
          const names = headers.map(([name]) => name.toLowerCase());
          expect(names.filter((name) => /^(content-length|transfer-encoding)$/.test(name)).length).toBeLessThan(2);
          expect(names.filter((name) => name === "host")).toHaveLength(1);
        }
        expect(upstream.strayBytes).toEqual([]);
        await askHonestly();
      }),
      { numRuns: 100 },
    );
  });

  test("over HTTP/2 the upstream receives each stream at most once, with its method, path and content", {
    timeout: 60_000,
  }, async () => {
    const streams = fc.record({
      method: fc.constantFrom("GET", "HEAD", "POST", "POST", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"),
      path: fc.constantFrom(list, rpc, `${list}/1:replay`, `${list} HTTP/1.1\r\nX: y`),
      fields: fc.dictionary(
        fc.constantFrom(
          "content-length",
          "transfer-encoding",
          "connection",
          "host",
          "te",
          "upgrade",
          "x",
          "expect",
          ":path",
        ),
        fc.constantFrom("0", "3", "chunked", "content-length", "trailers", "a", "h2c", "100-continue", "a\r\nx: y"),
        { maxKeys: 2 },
      ),
      data: fc.array(fc.constantFrom("", "{}", "abc", smuggled), { maxLength: 3 }),
      ends: fc.constantFrom(true, true, true, false),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(streams, { minLength: 1, maxLength: 4 }), async (sent) => {
        upstream.requests.length = 0;
        const frames = sent.map(({ method, path, fields, data, ends }, index) =>
          http2Request(2 * index + 1, { ...pseudo(method, path), ...fields }, data, ends),
        );
        const ended = sent.flatMap(({ ends }, index) => (ends ? [2 * index + 1] : []));
        await sendFrames(port, ended, ...frames);
        const left = sent.map(({ method, path, data }) => essence({ method, path, headers: [], body: data.join("") }));
        for (const one of upstream.requests.map(essence)) {
          expect(left).toContain(one);
          left.splice(left.indexOf(one), 1);
        }
        await askHonestly();
      }),
      { numRuns: 60 },
    );
  });

  const essence = ({ method, path, body }: RecordedRequest) => JSON.stringify([method, path, body]);
});

describe("an upstream's connection is closed, and its bytes never answer another caller, if it sends", () => {
  const stolen = '{"nextPageToken":"of another caller"}';
  const surplus = answerOf(stolen);
  const echo = ({ path }: RecordedRequest) => answerOf(JSON.stringify({ nextPageToken: path }));

  test.for<readonly [string, (request: RecordedRequest, socket: net.Socket) => string]>([
    ["two answers at once", (request) => echo(request) + surplus],
    ["half of another answer", (request) => echo(request) + surplus.slice(0, 30)],
    ["bytes after its answer", (request) => `${echo(request)}\x00garbage`],
    [
      "another answer later",
      (request, socket) => {
        setTimeout(() => socket.write(surplus), 20);
        return echo(request);
      },
    ],
    ["content with 204", () => `HTTP/1.1 204 No Content\r\n\r\n${surplus}`],
    ["content with 304", () => `HTTP/1.1 304 Not Modified\r\ncontent-length: ${surplus.length}\r\n\r\n${surplus}`],
    ["two lengths", () => `HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}${surplus}`],
    [
      "a length and chunks",
      () => `HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}${surplus}`,
    ],
    ["an invalid length", () => `HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n${surplus}`],
    ["lines that end in LF", () => `HTTP/1.1 200 OK\ncontent-length: 2\n\n{}`],
    [
      "a switch of protocols",
      () => `HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n${surplus}`,
    ],
    ["an unsolicited 100", () => `HTTP/1.1 100 Continue\r\n\r\n${surplus}`],
    ["interim answers without end", () => "HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n".repeat(1_000)],
    ["something other than HTTP", () => "SSH-2.0-OpenSSH\r\n"],
  ])("%s", async ([, answering]) => {
    upstream.answering = answering;
    const answer = await fetch(`http://127.0.0.1:${port}${list}?page_token=first`);
    expect(await answer.text()).not.toContain("of another caller");
    await vi.waitFor(() => expect(upstream.closed).toBe(1));
    upstream.answering = echo;
    await askHonestly();
    expect(upstream.requests).toHaveLength(2);
  });

  test("content with the answer to HEAD", async () => {
    upstream.answering = () => surplus;
    const answer = await fetch(`http://127.0.0.1:${port}${list}`, { method: "HEAD" });
    expect([answer.status, await answer.text()]).toEqual([200, ""]);
    await vi.waitFor(() => expect(upstream.closed).toBe(1));
    upstream.answering = echo;
    await askHonestly();
  });
});
