import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { type AddressInfo, connect, type Server } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { handleNodeRequest } from "./node-handler.ts";
import { testService } from "./testdata/descriptors.ts";
import { createTranscoder, type RestCall } from "./transcoder.ts";

const library = testService("library.v1.LibraryService");
let aborted: (() => void) | undefined;
let unreadable: ((error: unknown) => void) | undefined;
/** Called when a call waits for its caller to go, or has begun to read its body. */
let arrived: (() => void) | undefined;

/** Echoes the request, refuses without reading, or waits for the caller to go away. */
const transcoder = createTranscoder({
  services: [library],
  readMaxBytes: 100_000,
  async invoke(method, call: RestCall) {
    if (call.header.has("x-refuse")) throw new ConnectError("no", Code.PermissionDenied);
    if (call.header.has("x-wait")) {
      const gone = new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      arrived?.();
      await gone;
    }
    const header = new Headers({ "x-seen": call.header.get("x-sent") ?? "" });
    // Forwarded to an HTTP/2 client this would throw outside of any handler.
    header.set("connection", "close");
    header.append("set-cookie", "a=1");
    header.append("set-cookie", "b=2");
    const trailer = new Headers();
    if (method.name === "WatchBooks") {
      call.signal.addEventListener("abort", () => aborted?.());
      const message = (async function* () {
        while (!call.signal.aborted) yield create(method.output, { title: "x".repeat(10_000) } as never);
      })();
      return { header, trailer, message };
    }
    const message = call.message();
    message.catch((error: unknown) => unreadable?.(error));
    arrived?.();
    const request = (await message) as unknown as { name?: string; shelf?: object };
    const output = create(method.output, { name: request.name, shelf: request.shelf } as never);
    return { header, trailer, message: output };
  },
});

type Handler = Parameters<typeof handleNodeRequest>;
const listener = (request: Handler[1], response: Handler[2]) => handleNodeRequest(transcoder, request, response);
const servers = { http1: http.createServer(listener), http2: http2.createServer(listener) };
let url: Record<keyof typeof servers, string>;
let session: http2.ClientHttp2Session;

beforeAll(async () => {
  const start = async (server: Server) => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  url = { http1: await start(servers.http1), http2: await start(servers.http2) };
  session = http2.connect(url.http2);
});

afterAll(() => {
  session.close();
  servers.http2.close();
  servers.http1.close();
  servers.http1.closeAllConnections();
});

type Answer = { status: number; headers: Record<string, unknown>; body: string };

async function overHttp2(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Answer> {
  const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  const ended = once(stream, "end");
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  await ended;
  return { status: Number(answer[":status"]), headers: answer, body: text };
}

async function overHttp1(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Answer> {
  const request = http.request(url.http1 + path, { method, headers });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}

describe.each([
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
])("over %s", (_, send) => {
  const json = { "content-type": "application/json" };

  it("a call is forwarded in both directions, with headers and cookies", async () => {
    const answer = await send("GET", "/v1/shelves/a%20b?revision=3", { "x-sent": "1" });
    expect([answer.status, JSON.parse(answer.body).name]).toEqual([200, "shelves/a b"]);
    expect(answer.headers).toMatchObject({ "x-seen": "1", "set-cookie": ["a=1", "b=2"] });
    const posted = await send("POST", "/v1/shelves", json, '{"theme":"Ü"}');
    expect([posted.status, JSON.parse(posted.body).theme]).toEqual([200, "Ü"]);
    expect((await send("POST", "/v1/shelves", {}, "")).status).toBe(200);
  });

  it("HEAD has the headers of GET and no body", async () => {
    const get = await send("GET", "/v1/shelves/1", {});
    const head = await send("HEAD", "/v1/shelves/1", {});
    expect([head.status, head.body]).toEqual([200, ""]);
    expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
  });

  it("a body over the limit, of any size, is answered with 413, and the server keeps serving", async () => {
    for (const size of [100_001, 5_000_000]) {
      const answer = await send("POST", "/v1/shelves", json, "x".repeat(size));
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([413, 8]);
    }
    // Without a Content-Length the limit applies while reading.
    const unannounced = send === overHttp1 ? { ...json, "transfer-encoding": "chunked" } : json;
    expect((await send("POST", "/v1/shelves", unannounced, "x".repeat(5_000_000))).status).toBe(413);
    expect((await send("GET", "/v1/shelves/1", {})).status).toBe(200);
  });

  it("an early error reaches a caller that is still sending", async () => {
    const answer = await send("POST", "/v1/shelves", { ...json, "x-refuse": "1" }, "x".repeat(5_000_000));
    expect(answer.status).toBe(403);
    expect((await send("POST", "/v1/shelves", { "x-refuse": "1" }, "{}")).status).toBe(403);
  });

  it("malformed paths and queries are answered", async () => {
    for (const [path, status] of [
      ["/v1/shelves/%", 400],
      ["/v1/shelves/%ff", 400],
      ["/v1/search?string_value=%", 400],
      ["//", 404],
      ["/v1/shelves/1/", 404],
      [`/${"/".repeat(10_000)}`, 404],
      ["/?x", 404],
    ] as const)
      expect([path, (await send("GET", path, {})).status]).toEqual([path, status]);
  });
});

it("a reader that goes away aborts the call, over HTTP/1.1 and HTTP/2", async () => {
  const gone = () =>
    new Promise<void>((resolve) => {
      aborted = resolve;
    });
  const path = "/v1/shelves/1/books:watch";

  const first = gone();
  const request = http.get(url.http1 + path);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  await once(response, "data");
  request.destroy();
  await first;

  const second = gone();
  const stream = session.request({ ":path": path });
  await once(stream, "data");
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await second;
});

it("keeps the connection after refusing a small body, and closes it if a large rest remains", async () => {
  const socket = connect((servers.http1.address() as AddressInfo).port, "127.0.0.1");
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  const post = (length: number) =>
    socket.write(`POST /v1/shelves HTTP/1.1\r\nhost: x\r\nx-refuse: 1\r\ncontent-length: ${length}\r\n\r\n`);
  post(2);
  socket.write("{}");
  while (!text.includes("}")) await once(socket, "data");
  expect(text).toMatch(/^HTTP\/1.1 403/);
  expect(text.toLowerCase()).not.toContain("connection: close");
  text = "";
  post(1_000_000_000);
  while (!text.includes("}")) await once(socket, "data");
  expect(text.toLowerCase()).toContain("connection: close");
  socket.destroy();
});

it.each([
  ["while it is read", {}],
  ["before reading starts", { "x-wait": "1" }],
])("half a body never looks complete: the caller leaves %s", async (_, extra) => {
  // Raw bytes, since incomplete JSON would fail anyway.
  const headers = { "content-type": "text/plain", ...extra };
  const failure = () =>
    new Promise((resolve) => {
      unreadable = resolve;
    });
  const arrival = () =>
    new Promise<void>((resolve) => {
      arrived = resolve;
    });

  const [first, firstArrival] = [failure(), arrival()];
  const request = http.request(`${url.http1}/v1/raw`, { method: "POST", headers });
  request.on("error", () => undefined).write("half");
  await firstArrival;
  request.destroy();
  expect(await first).toMatchObject({ code: Code.Canceled });

  const [second, secondArrival] = [failure(), arrival()];
  const socket = connect((servers.http2.address() as AddressInfo).port, "127.0.0.1");
  const own = http2.connect(url.http2, { createConnection: () => socket }).on("error", () => undefined);
  const stream = own.request({ ":method": "POST", ":path": "/v1/raw", ...headers });
  stream.on("error", () => undefined).write("half");
  // Not stream.close(): Node's client ends the body properly before it resets the stream.
  await secondArrival;
  socket.destroy();
  expect(await second).toMatchObject({ code: Code.Canceled });

  expect((await overHttp1("GET", "/v1/shelves/1", {})).status).toBe(200);
  expect((await overHttp2("GET", "/v1/shelves/1", {})).status).toBe(200);
});

it("accepts an absolute request target", async () => {
  const socket = connect((servers.http1.address() as AddressInfo).port, "127.0.0.1");
  socket.write("GET http://host:1/v1/shelves/1?revision=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  let text = "";
  for await (const chunk of socket.setEncoding("utf8")) text += chunk;
  expect(text).toMatch(/^HTTP\/1.1 200/);
});
