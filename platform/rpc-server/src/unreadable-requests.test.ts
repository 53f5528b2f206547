import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import { text } from "node:stream/consumers";
import { onePortServerFactory, portOf } from "@shop/http-port";
import Fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { portRefusals } from "./port-refusals.ts";
import { openTestPort } from "./testing/test-port.ts";

const everyAnswer = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Short, so that the test is fast. */
const limits = { headersTimeoutMs: 200, requestTimeoutMs: 400, refusals: portRefusals };

describe("an unparsable request gets one well-formed answer, and its connection is closed:", () => {
  test.for<readonly [string, string, number, number]>([
    ["garbage", "\x00\x01garbage\r\n\r\n", 400, 3],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, 3],
    ["an invalid version", "GET /hello HTTP/3.0\r\nHost: a\r\n\r\n", 400, 3],
    ["an unknown method", "BREW /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501, 12],
    ["a lower-case method", "get /hello HTTP/1.1\r\nHost: a\r\n\r\n", 501, 12],
    ["a method that is not a token", "G(T /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400, 3],
    ["a broken preface", "PRI * HTTP/2.0\r\n\r\nNO\r\n\r\n", 400, 3],
    [
      "a length and chunks",
      "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
      3,
    ],
    ["no Host", "GET /hello HTTP/1.1\r\n\r\n", 400, 3],
    ["two Hosts", "GET /hello HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400, 3],
    ["unfinished headers", "GET /hello HTTP/1.1\r\nHost: a\r\n", 408, 4],
    ["an unfinished request line", "GET /hel", 408, 4],
    ["large headers", `GET /hello HTTP/1.1\r\nHost: a\r\n${"x: more of it\r\n".repeat(2_000)}\r\n`, 431, 8],
    ["a long path", `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431, 8],
  ])("%s", async ([, bytes, status, code]) => {
    const app = Fastify({ serverFactory: onePortServerFactory(limits) });
    app.get("/hello", () => ({}));
    await app.listen({ host: "127.0.0.1", port: 0 });
    onTestFinished(() => app.close());
    const answer = await talk(portOf(app.server), bytes);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({ ...everyAnswer, connection: "close", "content-type": "application/json" });
    expect(answer.headers["content-length"]).toBe(String(answer.body.length));
    expect(JSON.parse(answer.body)).toEqual({ code, message: expect.any(String), details: [] });
  });
});

test("an unparsable request during another answer aborts that answer, instead of being answered in the middle of it", async () => {
  const app = Fastify({ serverFactory: onePortServerFactory({ refusals: portRefusals }) });
  app.get("/news", (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-length": "100000" }).write("news");
  });
  await app.listen({ host: "127.0.0.1", port: 0 });
  onTestFinished(() => app.close());
  const socket = net.connect({ port: portOf(app.server), host: "127.0.0.1" });
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
    if (answer.endsWith("news")) socket.write("\x00\x01garbage\r\n\r\n");
  });
  socket.write("GET /news HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(socket, "close");
  expect(answer).toMatch(/\r\n\r\nnews$/);
});

test("HTTP/1.0 needs no Host", async () => {
  const { port } = await openTestPort();
  expect(await talk(port, "GET /healthz HTTP/1.0\r\n\r\n")).toMatchObject({ status: 200 });
});

test("an unknown expectation is ignored, and the answer has the default headers", async () => {
  const { port } = await openTestPort();
  const request = "GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n";
  expect(await talk(port, request)).toMatchObject({ status: 200, headers: everyAnswer });
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const [headers] = await once(session.request({ ":path": "/healthz", expect: "wonders" }), "response");
  expect(headers).toMatchObject({ ":status": 200, ...everyAnswer });
});

/** Everything received until the connection is closed, parsed as one answer. */
async function talk(port: number, bytes: string) {
  const socket = net.connect({ port, host: "127.0.0.1" });
  onTestFinished(() => void socket.destroy());
  socket.write(bytes, "latin1");
  const [head = "", ...rest] = (await text(socket)).split("\r\n\r\n");
  const [statusLine = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => line.split(": ")).map(([name, ...value]) => [name!.toLowerCase(), value.join(": ")]),
  );
  return { status: Number(statusLine.split(" ")[1]), headers, body: rest.join("\r\n\r\n") };
}
