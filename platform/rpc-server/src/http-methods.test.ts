import { connect } from "node:http2";
import { createConnection } from "node:net";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { openTestPort } from "./testing/test-port.ts";

const rpc = "/shop.common.v1.DeadLetterService";
const status = (code: number) => ({ code, message: expect.any(String), details: [] });

/** The answer over HTTP/2: status, Allow and the body, as JSON unless it is empty. */
async function ask(port: number, method: string, path: string) {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":method": method, ":path": path, "content-type": "text/plain" });
  stream.end();
  const head = new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
  const [headers, body] = [await head, await text(stream)];
  session.close();
  return { status: headers[":status"], allow: headers.allow, body: body && JSON.parse(body) };
}

/** As {@link ask} over HTTP/1.1, by a raw request that Node's client would not send. */
async function askOverHttp1(port: number, request: string) {
  const socket = createConnection(port, "127.0.0.1");
  socket.write(request);
  const answer = await text(socket);
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  const allow = /^allow: (.*)$/im.exec(head)?.[1];
  return { status: Number(head.split(" ")[1]), allow, body: JSON.parse(body) };
}

test.each([
  ["a page", "/healthz", "GET, HEAD, OPTIONS"],
  ["the documentation", "/docs", "GET, HEAD, OPTIONS"],
  ["a route", "/admin/dead-letters", "GET, HEAD, OPTIONS"],
  ["a route with a verb", "/admin/dead-letters/1:redrive", "OPTIONS, POST"],
  ["a route with a verb whose colon is escaped", "/admin/dead-letters/1%3Aredrive", "OPTIONS, POST"],
])("%s refuses other HTTP methods with 405, Allow and google.rpc.Status", async (_, path, allow) => {
  const { port } = await openTestPort({ openApi: new TextEncoder().encode("{}") });
  for (const method of ["PUT", "PATCH", "TRACE", "PROPFIND", "QUERY"]) {
    const answer = await ask(port, method, path);
    expect({ ...answer, allow: String(answer.allow).split(", ").toSorted().join(", ") }).toEqual({
      status: 405,
      allow,
      body: status(12),
    });
  }
  expect((await ask(port, "OPTIONS", path)).status).toBe(204);
});

test("an RPC path names its HTTP methods in Allow", async () => {
  const { port } = await openTestPort();
  for (const method of ["PUT", "OPTIONS", "QUERY"]) {
    const refused = { status: 405, body: "" };
    expect(await ask(port, method, `${rpc}/ListDeadLetters`)).toEqual({ ...refused, allow: "GET, POST" });
    expect(await ask(port, method, `${rpc}/RedriveDeadLetter`)).toEqual({ ...refused, allow: "POST" });
  }
  expect(await ask(port, "GET", `${rpc}/RedriveDeadLetter`)).toMatchObject({ status: 405, allow: "POST" });
});

test("an unknown path is 404 with an unusual HTTP method, too", async () => {
  const { port } = await openTestPort();
  for (const method of ["GET", "PROPFIND", "QUERY"])
    expect(await ask(port, method, "/nothing")).toEqual({ status: 404, allow: undefined, body: status(5) });
});

test("an unknown HTTP method is 501 on every path, in both versions of HTTP", async () => {
  const { port } = await openTestPort();
  for (const method of ["BREW", "get"])
    for (const path of ["/healthz", "/admin/dead-letters", `${rpc}/RedriveDeadLetter`, "/nothing"]) {
      const overHttp2 = await ask(port, method, path);
      expect(overHttp2).toEqual({ status: 501, allow: undefined, body: status(12) });
      const overHttp1 = await askOverHttp1(port, `${method} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(overHttp1).toEqual(overHttp2);
    }
});

test("a refusal by Fastify itself is a google.rpc.Status", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/nothing`, {
    method: "POST",
    headers: { "content-type": "no type" },
    body: "x",
  });
  expect(await answer.json()).toEqual(status(expect.any(Number)));
});
