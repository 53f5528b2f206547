import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import * as net from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type OnePortOptions, OnePortServer, portOf } from "@shop/http-port";
import { type Exchange, nodeExchange, streamExchange } from "@shop/rpc-server";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createForwarder, type ForwarderOptions, type ForwardOptions } from "./forward.ts";

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

const versions = [["HTTP/1.1"], ["HTTP/2"]] as const;
type Version = (typeof versions)[number][0];
/** A call may be unary, or a stream, which is the default for unknown methods. */
const kinds = [
  ["HTTP/1.1", "a stream", false],
  ["HTTP/2", "a stream", false],
  ["HTTP/1.1", "a unary call", true],
  ["HTTP/2", "a unary call", true],
] as const;
const [ofStream, ofUnary] = [
  ["a stream", false],
  ["a unary call", true],
] as const;

test.each(kinds)("on %s, as %s, a request is forwarded over the same version of HTTP", async (version, _, isUnary) => {
  const { send } = await gatewayTo(
    (request, response) => {
      response.statusCode = 201;
      response.setHeader(
        "x-seen",
        `${request.httpVersion} ${request.method} ${request.url} ${request.headers["x-own"]}`,
      );
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      request.pipe(response);
    },
    {},
    { isUnary },
  );
  const answer = await send(version, {
    method: "POST",
    path: "/a%20b?c=d",
    headers: { "x-own": "yes" },
    body: "hello",
  });
  expect(answer).toMatchObject({ status: 201, body: "hello" });
  expect(answer.headers["x-seen"]).toBe(`${version.slice(5).padEnd(3, ".0")} POST /a%20b?c=d yes`);
  expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
});

test.each(kinds)("on %s, as %s, a repeated header is forwarded as often", async (version, _, isUnary) => {
  const { send } = await gatewayTo(
    (request, response) => response.end(JSON.stringify(request.headers["set-cookie"])),
    {},
    { isUnary },
  );
  // The only header that Node does not join.
  const answer = await send(version, { headers: { "set-cookie": ["a=1", "b=2"] } });
  expect(JSON.parse(answer.body)).toEqual(["a=1", "b=2"]);
});

test.each(kinds)("on %s, as %s, trailers of request and answer are forwarded", async (version, _, isUnary) => {
  const { send } = await gatewayTo(
    (request, response) => {
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "application/grpc" });
        response.write("body");
        response.addTrailers({ "grpc-status": "0", "x-asked": String(request.trailers["x-checksum"]) });
        response.end();
      });
    },
    {},
    { isUnary },
  );
  const answer = await send(version, {
    method: "POST",
    body: "hello",
    trailers: { "x-checksum": "42", "x-shop-user": "admin" },
  });
  // Over HTTP/1.1 request trailers are discarded, as RFC 9110 6.5.1 allows a proxy: no protocol here uses them.
  const asked = version === "HTTP/2" ? "42" : "undefined";
  expect(answer).toMatchObject({ body: "body", trailers: { "grpc-status": "0", "x-asked": asked } });
});

test.each([ofStream, ofUnary])(
  "of %s a gRPC trailers-only answer stays one frame, and an answer without a body keeps its trailers",
  async (_, isUnary) => {
    const { send } = await gatewayTo(
      (request, response) => {
        response.setHeader("content-type", "application/grpc");
        if (request.url === "/only") response.setHeader("grpc-status", "5");
        else {
          response.flushHeaders();
          response.addTrailers({ "grpc-status": "5" });
        }
        response.end();
      },
      {},
      { isUnary },
    );
    const only = await send("HTTP/2", { path: "/only" });
    expect([only.headers["grpc-status"], only.endedWithHead]).toEqual(["5", true]);
    const late = await send("HTTP/2", { path: "/late" });
    expect([late.trailers["grpc-status"], late.endedWithHead]).toEqual(["5", false]);
  },
);

test.each(kinds)("on %s, as %s, HEAD, 204 and 304 are forwarded", async (version, _, isUnary) => {
  const { send } = await gatewayTo(
    (request, response) => {
      response.writeHead(Number(request.url!.slice(1)), request.method === "HEAD" ? { "content-length": 5 } : {});
      response.end();
    },
    {},
    { isUnary },
  );
  const head = { status: 200, headers: { "content-length": "5" }, body: "" };
  expect(await send(version, { method: "HEAD", path: "/200" })).toMatchObject(head);
  expect(await send(version, { path: "/204" })).toMatchObject({ status: 204, body: "" });
  expect(await send(version, { path: "/304" })).toMatchObject({ status: 304, body: "" });
});

test("messages are forwarded in both directions while the other side is still open", async () => {
  const { connect } = await gatewayTo((request, response) => {
    response.writeHead(200);
    request.on("data", (chunk) => response.write(`echo ${chunk}`)).on("end", () => response.end());
  });
  const stream = connect().request({ ":method": "POST" });
  for (const word of ["one", "two", "three"]) {
    stream.write(word);
    expect(String((await once(stream, "data"))[0])).toBe(`echo ${word}`);
  }
  stream.end();
  await once(stream, "end");
});

test.each(versions)("the head of an answer on %s does not wait for its body", async (version) => {
  const { open } = await gatewayTo((_request, response) => response.flushHeaders());
  const { cancel } = await open(version, {});
  cancel();
});

test.each(kinds)("on %s, to %s, an upstream answers no faster than the client reads", async (version, _, isUnary) => {
  let written = 0;
  const { open } = await gatewayTo(
    (_request, response) => {
      const source = Readable.from(
        (function* () {
          for (; written < 100_000_000; written += 100_000) yield Buffer.alloc(100_000);
        })(),
      );
      source.pipe(response);
    },
    {},
    { isUnary },
  );
  const { cancel } = await open(version, {});
  let before = -1;
  await vi.waitFor(
    () => {
      const stalled = written === before;
      before = written;
      expect(stalled).toBe(true);
    },
    { interval: 200, timeout: 4_000 },
  );
  expect(written).toBeLessThan(20_000_000);
  cancel();
});

test.each(versions)("a client that goes away on %s cancels its request upstream", async (version) => {
  const gone = vi.fn();
  const { open } = await gatewayTo((request, response) => {
    response.on("close", () => gone(streamOf(request)?.rstCode ?? 8));
    response.flushHeaders();
  });
  const { cancel } = await open(version, { method: "POST", keepOpen: true });
  cancel();
  await vi.waitFor(() => expect(gone).toHaveBeenCalledWith(8));
});

test.each(versions)("an upstream that aborts its answer on %s aborts it for the client", async (version) => {
  const { open } = await gatewayTo((request, response) => {
    response.write("half of it");
    setTimeout(() => {
      const stream = streamOf(request);
      if (stream !== undefined) stream.close(11);
      else response.destroy();
    }, 20);
  });
  const { body, resetCode } = await open(version, {});
  await expect(text(body)).rejects.toThrow();
  expect(resetCode()).toBe(version === "HTTP/2" ? 11 : undefined);
});

describe.each([
  ["HTTP/1.1", "HTTP/1.1", { isUnary: true }],
  ["HTTP/2", "HTTP/2", { isUnary: true }],
  ["HTTP/2 on Node's compatibility objects", "HTTP/2", { isUnary: true, byNodesObjects: true }],
] as const)("a unary call on %s", (_, version, unary) => {
  test("is forwarded in full, at any length of it and its answer", async () => {
    const { send } = await gatewayTo((request, response) => request.pipe(response), {}, unary);
    for (const body of ["", "short", "of a message ".repeat(10_000)]) {
      expect((await send(version, { method: "POST", body })).body).toBe(body);
    }
  });

  test("is sent upstream once it has been read in full, after later calls that were complete earlier", async () => {
    const asked: (string | undefined)[] = [];
    const { ask, send } = await gatewayTo(
      async (request, response) => {
        asked.push(request.url);
        response.end(`got ${await text(request)}`);
      },
      {},
      unary,
    );
    const half = ask(version);
    half.write("half ");
    for (let call = 0; call < 3; call++) await send(version, { method: "POST", path: "/whole", body: "{}" });
    half.end("and half");
    expect(await half.answer).toBe("got half and half");
    expect(asked).toEqual(["/whole", "/whole", "/whole", "/"]);
  });

  test("whose caller cancels it before it is complete is never sent upstream", async () => {
    const asked = vi.fn();
    const { port, send } = await gatewayTo(
      (_request, response) => {
        asked();
        response.end("there");
      },
      {},
      unary,
    );
    const socket = net.connect(port, "127.0.0.1").on("error", () => {});
    cleanUp.push(() => socket.destroy());
    const whole = async () => (await send(version, { method: "POST", body: "{}" })).body;
    socket.write(halfARequest[version], "latin1");
    // Answered after half of the request had been read.
    expect([await whole(), await whole()]).toEqual(["there", "there"]);
    if (version === "HTTP/2") socket.write(itsReset, "latin1");
    else socket.destroy();
    expect([await whole(), await whole()]).toEqual(["there", "there"]);
    expect(asked).toHaveBeenCalledTimes(4);
  });

  test("is cancelled upstream when its caller goes away", async () => {
    const [asked, gone] = [vi.fn(), vi.fn()];
    const { ask, onFailure } = await gatewayTo(
      (request, response) => {
        asked();
        response.on("close", () => gone(streamOf(request)?.rstCode ?? 8));
      },
      {},
      unary,
    );
    const waiting = ask(version);
    waiting.end("{}");
    await vi.waitFor(() => expect(asked).toHaveBeenCalled());
    waiting.cancel();
    await vi.waitFor(() => expect(gone).toHaveBeenCalledWith(8));
    expect(onFailure).not.toHaveBeenCalled();
  });

  test("whose answer breaks off does not receive half of it", async () => {
    const { ask, onFailure } = await gatewayTo(
      (request, response) => {
        response.write("half of it");
        setTimeout(() => {
          const stream = streamOf(request);
          if (stream !== undefined) stream.close(11);
          else response.destroy();
        }, 20);
      },
      {},
      unary,
    );
    const broken = ask(version);
    broken.end("{}");
    expect(await broken.closed).toBe(version === "HTTP/2" ? 11 : 0);
    expect(broken.isAnswered()).toBe(false);
    expect(onFailure).toHaveBeenCalledTimes(1);
  });
});

test.each([ofStream, ofUnary])(
  "of %s an answer that an upstream cancels halfway over HTTP/2 does not look complete",
  async (_, isUnary) => {
    const server = net.createServer((socket) => {
      socket.on("error", () => {}).write(settings, "latin1");
      socket.on("data", (chunk) => {
        if (chunk.includes("to us")) socket.write(halfAnAnswer + itsReset, "latin1");
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    cleanUp.push(() => server.close());
    const { ask } = await gateway([`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`], {}, { isUnary });
    const cancelled = ask("HTTP/2");
    cancelled.end("to us");
    expect(await cancelled.closed).toBe(http2.constants.NGHTTP2_CANCEL);
  },
);

// Raw frames: Node ends a body before it resets its stream.
const settings = "\0\0\0\x04\0\0\0\0\0";
const halfOfIt = "\0\0\x04\0\0\0\0\0\x01half"; // DATA
const halfAnAnswer = `\0\0\x01\x01\x04\0\0\0\x01\x88${halfOfIt}`; // HEADERS: 200
const halfARequest = {
  "HTTP/1.1": "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf",
  "HTTP/2": [
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings}`,
    "\0\0\x06\x01\x04\0\0\0\x01\x83\x86\x84\x01\x01a", // HEADERS: POST, http, /, and the authority a
    halfOfIt,
  ].join(""),
};
const itsReset = "\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"; // RST_STREAM: CANCEL

/** A gateway whose calls can be stopped, to an upstream that calls `say` and then never ends its answer. */
async function stoppableGateway(say: (response: http.ServerResponse) => void) {
  const stop = new AbortController();
  const [asked, gone] = [vi.fn(), vi.fn()];
  const opened = await gatewayTo(
    (_request, response) => {
      asked();
      response.on("close", gone);
      say(response);
    },
    {},
    { stop: stop.signal },
  );
  return { ...opened, stop, asked, gone };
}

test.each(versions)(
  "a stop on %s refuses a call without an answer at once, and cancels it upstream",
  async (version) => {
    const { send, stop, asked, gone, onFailure } = await stoppableGateway(() => {});
    const calling = send(version, { method: "POST", body: "{}" });
    await vi.waitFor(() => expect(asked).toHaveBeenCalled());
    stop.abort();
    expect(await soon(calling)).toMatchObject(rest);
    await vi.waitFor(() => expect(gone).toHaveBeenCalledTimes(1));
    expect(onFailure).not.toHaveBeenCalled();
  },
);

test.each(versions)("a stop on %s aborts an answer that has begun, here and upstream", async (version) => {
  const { open, stop, gone } = await stoppableGateway((response) => response.write("news"));
  const { body, resetCode } = await open(version, { method: "POST", keepOpen: true });
  expect(String((await once(body, "data"))[0])).toBe("news");
  const broken = expect(soon(text(body))).rejects.not.toThrow("late");
  stop.abort();
  await broken;
  expect(resetCode()).toBe(version === "HTTP/2" ? http2.constants.NGHTTP2_REFUSED_STREAM : undefined);
  await vi.waitFor(() => expect(gone).toHaveBeenCalledTimes(1));
});

test.each(versions)("a call on %s after the stop is refused, and not sent upstream", async (version) => {
  const { send, stop, asked } = await stoppableGateway((response) => response.end("done"));
  expect(await send(version, { method: "POST", body: "{}" })).toMatchObject({ body: "done" });
  stop.abort();
  expect(await soon(send(version, { method: "POST", body: "{}" }))).toMatchObject(rest);
  expect(asked).toHaveBeenCalledTimes(1);
});

test.each(versions)("calls on %s that still run when the forwarder is closed break at once", async (version) => {
  const { open, close, gone } = await stoppableGateway((response) => response.write("news"));
  const { body } = await open(version, {});
  await once(body, "data");
  const broken = expect(soon(text(body))).rejects.not.toThrow("late");
  close();
  await broken;
  await vi.waitFor(() => expect(gone).toHaveBeenCalledTimes(1));
});

/** Fails if the promise takes over a second. */
function soon<T>(promise: Promise<T>): Promise<T> {
  const late = delay(1_000).then(() => Promise.reject(new Error("late")));
  return Promise.race([promise, late]);
}

test.each([ofStream, ofUnary])(
  "of %s hop-by-hop headers are not forwarded, nor headers that clients may not set",
  async (_, isUnary) => {
    const options = { dropRequestHeaders: ["X-Shop-User"] };
    const { send, upstreamPort, port } = await gatewayTo(echoHeaders, options, { isUnary });
    const { body, headers } = await send("HTTP/1.1", {
      headers: {
        connection: "keep-alive, te",
        "keep-alive": "timeout=5",
        "proxy-authorization": "Basic eA==",
        te: "trailers, deflate",
        upgrade: "h2c",
        "x-shop-user": "admin",
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "https",
        forwarded: "for=6.6.6.6",
        "grpc-timeout": "10S",
        "connect-timeout-ms": "10000",
      },
    });
    expect(JSON.parse(body)).toEqual({
      host: `127.0.0.1:${upstreamPort}`,
      connection: "keep-alive",
      te: "trailers",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      "x-forwarded-host": `127.0.0.1:${port}`,
      "grpc-timeout": "10S",
      "connect-timeout-ms": "10000",
    });
    expect(headers).not.toHaveProperty("x-named");
    expect(headers["x-kept"]).toBe("2");
  },
);

test.each(kinds)(
  "on %s, of %s, trusted forwarding headers are extended, and others replaced",
  async (version, _, isUnary) => {
    const { send } = await gatewayTo(
      echoHeaders,
      { trustForwardedHeaders: true },
      { isUnary, setRequestHeaders: { "x-request-id": "ours" } },
    );
    const { body } = await send(version, {
      headers: { "x-forwarded-for": "1.2.3.4", "x-forwarded-host": "shop.example", "x-request-id": "theirs" },
    });
    expect(JSON.parse(body)).toMatchObject({
      "x-forwarded-for": "1.2.3.4, 127.0.0.1",
      "x-forwarded-host": "shop.example",
      "x-forwarded-proto": "http",
      "x-request-id": "ours",
    });
  },
);

const grpc = {
  status: 200,
  headers: { "grpc-status": "14", "grpc-message": "the service cannot be reached" },
  body: "",
};
const connectJson = '{"code":"unavailable","message":"the service cannot be reached"}';
const rest = { status: 503, body: '{"code":14,"message":"the service cannot be reached","details":[]}' };
/** The answer if the request was sent upstream. */
const unanswered = {
  status: 503,
  body: '{"code":14,"message":"the service did not answer, and may have done what was asked","details":[]}',
};
test.each([
  ["gRPC", { "content-type": "application/grpc+proto", te: "trailers" }, { ...grpc, endedWithHead: true }],
  ["gRPC-Web", { "content-type": "application/grpc-web+json" }, grpc],
  ["Connect unary binary", { "content-type": "application/proto" }, { status: 503, body: connectJson }],
  ["Connect unary", { "content-type": "application/json", "connect-protocol-version": "1" }, { body: connectJson }],
  [
    "Connect streaming",
    { "content-type": "application/connect+json" },
    { status: 200, body: `\x02\0\0\0\x4a{"error":${connectJson}}` },
  ],
  ["REST", { "content-type": "application/json" }, rest],
])("an upstream that cannot be reached is `unavailable` in %s", async (_protocol, headers, expected) => {
  const onFailure = vi.fn();
  for (const [version, , isUnary] of kinds) {
    const { send } = await gateway(["http://127.0.0.1:1"], { onFailure }, { isUnary });
    const { endedWithHead, ...rest } = { endedWithHead: false, ...expected };
    const answer = await send(version, { method: "POST", headers, body: "{}" });
    expect(answer).toMatchObject(rest);
    if (version === "HTTP/2" && endedWithHead) expect(answer.endedWithHead).toBe(true);
  }
  expect(onFailure).toHaveBeenCalledTimes(4);
});

test("Connect is distinguished from REST by the path if its headers do not decide", async () => {
  const { send } = await gateway(["http://127.0.0.1:1"]);
  const headers = { "content-type": "application/json" };
  expect((await send("HTTP/1.1", { path: "/shop.v1.S/Do", method: "POST", headers, body: "{}" })).body).toBe(
    connectJson,
  );
  expect((await send("HTTP/1.1", { path: "/shop.v1.S/Do?connect=v1&encoding=json" })).body).toBe(connectJson);
  expect(await send("HTTP/1.1", { path: "/v1.2/things" })).toMatchObject(rest);
});

test.each(kinds)(
  "on %s, for %s, an upstream that breaks before it answers is `unavailable`, and the call is not sent again",
  async (version, _, isUnary) => {
    const asked = vi.fn();
    const { send } = await gatewayTo(
      (request) => {
        asked();
        request.socket.destroy();
        streamOf(request)?.session?.destroy();
      },
      {},
      { isUnary },
    );
    const answer = await send(version, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    expect(answer).toMatchObject(unanswered);
    expect(asked).toHaveBeenCalledTimes(1);
  },
);

test("an upstream that never answers is `unavailable` after the timeout, which ends once an answer has begun", async () => {
  const { send } = await gatewayTo(
    (request, response) => {
      if (request.url === "/never") return;
      response.write("a");
      setTimeout(() => response.end("b"), 400);
    },
    { answerTimeoutMs: 200 },
  );
  expect(await send("HTTP/1.1", { path: "/never" })).toMatchObject(unanswered);
  expect((await send("HTTP/1.1", { path: "/slowly" })).body).toBe("ab");
});

const impatient = { callerMs: undefined, mostMs: 300 };
/** Other limits that would end such a call are longer than the test. */
const patient = { answerTimeoutMs: 600_000 };

test.each(versions)(
  "on %s, a unary call to an upstream that hangs ends in time, and is not sent again",
  async (version) => {
    const asked = vi.fn();
    const { send } = await gatewayTo(asked, patient, { isUnary: true, waitLimits: impatient });
    const answers = await Promise.all([
      send(version, { headers: { "content-type": "application/json" } }),
      send(version, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" }),
    ]);
    expect(answers).toMatchObject([unanswered, unanswered]);
    expect(asked).toHaveBeenCalledTimes(2);
  },
);

test.each(versions)("on %s, a unary call whose answer stops halfway ends in time", async (version) => {
  const short = await gatewayTo((_, response) => response.write("{"), patient, {
    isUnary: true,
    waitLimits: impatient,
  });
  expect(await short.send(version, { headers: { "content-type": "application/json" } })).toMatchObject(unanswered);
  const long = await gatewayTo((_, response) => response.write("a".repeat(200_000)), patient, {
    isUnary: true,
    waitLimits: impatient,
  });
  await expect(long.send(version, {})).rejects.toThrow();
});

test.each(versions)("on %s, a unary call with a long answer may take as long as its caller reads", async (version) => {
  const length = 4_000_000;
  const { open } = await gatewayTo(
    (_, response) => response.end("a".repeat(length)),
    {},
    { isUnary: true, waitLimits: { callerMs: undefined, mostMs: 500 } },
  );
  const { body } = await open(version, {});
  let read = 0;
  for await (const chunk of body) {
    if (read === 0) await delay(1_500);
    read += String(chunk).length;
  }
  expect(read).toBe(length);
});

test.each(versions)("on %s, a unary call with a long request may take as long as its caller sends", async (version) => {
  const { ask } = await gatewayTo(
    async (request, response) => response.end(String((await text(request)).length)),
    {},
    { isUnary: true, waitLimits: { callerMs: undefined, mostMs: 500 } },
  );
  const call = ask(version);
  for (let part = 0; part < 6; part++) {
    call.write("a".repeat(20_000));
    await delay(250);
  }
  call.end("a");
  expect(await call.answer).toBe("120001");
});

test.each(versions)(
  "on %s, a unary call to an upstream that stops reading its request ends in time",
  async (version) => {
    const { ask } = await gatewayTo((request) => void request.pause(), patient, {
      isUnary: true,
      waitLimits: { callerMs: undefined, mostMs: 500 },
    });
    const call = ask(version);
    const writing = setInterval(() => call.write("a".repeat(1_000_000)), 20);
    cleanUp.push(() => clearInterval(writing));
    await Promise.race([call.answer, call.closed]);
    clearInterval(writing);
  },
);

test.each(versions)(
  "on %s, a unary call ends at its caller's deadline, also before it is forwarded",
  async (version) => {
    for (const callerMs of [200, -1]) {
      const { send } = await gatewayTo(() => {}, {}, { isUnary: true, waitLimits: { callerMs, mostMs: 5_000 } });
      const { body } = await send(version, { headers: { "content-type": "application/json" } });
      // DEADLINE_EXCEEDED in REST.
      expect(JSON.parse(body).code).toBe(4);
    }
  },
);

test("a deadline beyond the range of timers does not end the call", async () => {
  const { send } = await gatewayTo(
    (_, response) => setTimeout(() => response.end("there"), 50),
    {},
    { isUnary: true, waitLimits: { callerMs: 1e15, mostMs: undefined } },
  );
  expect((await send("HTTP/1.1", {})).body).toBe("there");
});

test.each(kinds)(
  "on %s, for %s, replicas take turns, and one that refuses connections is skipped",
  async (version, _, isUnary) => {
    const urls = await Promise.all(["a", "b"].map((name) => upstream((_request, response) => response.end(name))));
    const onFailure = vi.fn();
    const all = [urls[0]!, "http://127.0.0.1:1", urls[1]!];
    const { send } = await gateway(all, { onFailure, avoidMs: 60_000 }, { isUnary });
    const answers: string[] = [];
    for (let i = 0; i < 9; i++) answers.push((await send(version, { method: "POST", body: "{}" })).body);
    expect(new Set(answers)).toEqual(new Set(["a", "b"]));
    expect(onFailure).toHaveBeenCalledTimes(1);
  },
);

test.each(kinds)("on %s, for %s, a replica that answers no calls is skipped", async (version, _, isUnary) => {
  const urls = await Promise.all([upstream(() => {}), upstream((_request, response) => response.end("there"))]);
  const { send } = await gateway(urls, { answerTimeoutMs: 500 }, { isUnary });
  const late = { body: "late" };
  const soon = () => Promise.race([send(version, { method: "POST", body: "{}" }), delay(200, late)]);
  await vi.waitFor(
    async () => {
      for (let call = 0; call < 6; call++) expect((await soon()).body).toBe("there");
    },
    { timeout: 4_000, interval: 10 },
  );
});

test.each([ofStream, ofUnary])("%s that was refused is retried with its body, once", async (_, isUnary) => {
  const bodies: string[] = [];
  const { send, onFailure } = await gatewayTo(
    async (request, response) => {
      bodies.push(String((await once(request, "data"))[0]));
      if (bodies.length === 2) response.end("done");
      else streamOf(request)?.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    },
    {},
    { isUnary },
  );
  const ask = () => send("HTTP/2", { method: "POST", headers: { "content-type": "application/grpc" }, body: "order" });
  expect(await ask()).toMatchObject({ status: 200, body: "done" });
  expect(bodies).toEqual(["order", "order"]);
  expect(await ask()).toMatchObject(grpc);
  expect(bodies).toHaveLength(4);
  expect(onFailure).toHaveBeenCalledTimes(3);
});

test.each([ofStream, ofUnary])(
  "of %s no call is lost to the GOAWAY of an upstream that shuts down meanwhile",
  async (_, isUnary) => {
    const servers = await Promise.all(["a", "b"].map((name) => serve((_request, response) => response.end(name))));
    const { connect } = await gateway(servers.map(urlOf), {}, { isUnary });
    const session = connect();
    const statuses: unknown[] = [];
    const ask = async () => {
      const stream = session.request({ ":method": "POST", "content-type": "application/grpc" });
      stream.end("x").resume();
      const [headers] = await once(stream, "response");
      statuses.push(headers["grpc-status"]);
    };
    await ask();
    await ask();
    const asking = (async () => {
      for (let i = 0; i < 50; i++) await Promise.all([ask(), ask(), ask(), ask()]);
    })();
    await delay(20);
    await new Promise((closed) => servers[0]!.close(closed));
    await asking;
    expect(statuses.filter((status) => status !== undefined)).toEqual([]);
  },
);

test.each(kinds)("on %s, for %s, a replica that announces its end is not called again", async (version, _, isUnary) => {
  const servers = await Promise.all(["a", "b"].map((name) => serve((_request, response) => response.end(name))));
  const { send } = await gateway(servers.map(urlOf), {}, { isUnary });
  const ask = async () => (await send(version, { method: "POST", body: "{}" })).body;
  expect(new Set([await ask(), await ask()])).toEqual(new Set(["a", "b"]));
  servers[0]!.announceClose();
  // One of them learns of it.
  await ask();
  await ask();
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(["b", "b", "b"]);
});

test.each(kinds)("on %s, for %s, no call fails while replicas are replaced one by one", async (version, _, isUnary) => {
  const start = () => serve((_request, response) => response.end("done"), { closeGraceMs: 10_000 });
  const servers = [await start(), await start()];
  const { port, connect } = await gateway(servers.map(urlOf), { idleMs: 50, leavingMs: 1_000 }, { isUnary });
  const agent = new http.Agent({ keepAlive: true });
  cleanUp.push(() => agent.destroy());
  const session = connect();
  const statuses = new Set<unknown>();
  const over = new AbortController();
  const asking = Array.from({ length: 8 }, async () => {
    while (!over.signal.aborted) {
      const call = { method: "POST", body: "{}", headers: { "content-type": "application/json" } };
      const { status, body } = await (version === "HTTP/1.1" ? open1(port, agent, call) : open2(session, call));
      statuses.add(status);
      body.resume();
      await once(body, "end");
    }
  });
  for (let replaced = 0; replaced < 4; replaced++) {
    const leaving = servers[replaced % 2]!;
    const address = leaving.address() as net.AddressInfo;
    leaving.announceClose();
    await vi.waitFor(async () => expect(await promisify(leaving.getConnections).call(leaving)).toBe(0), 5_000);
    await new Promise((closed) => leaving.close(closed));
    servers[replaced % 2] = await serve((_request, response) => response.end("done"), {}, address.port);
  }
  over.abort();
  await Promise.all(asking);
  expect([...statuses]).toEqual([200]);
});

test("a connection that was idle for too long is not used again", async () => {
  const connections = vi.fn();
  const server = await serve((_request, response) => response.end("there"));
  server.on("connection", connections);
  const { send } = await gateway([urlOf(server)], { idleMs: 0 });
  for (let call = 0; call < 3; call++) await send("HTTP/1.1", {});
  expect(connections).toHaveBeenCalledTimes(3);
});

test("streams beyond the limit of one connection use further connections", async () => {
  const sessions = new Set<unknown>();
  const server = http2.createServer({ settings: { maxConcurrentStreams: 2 } }, (request, response) => {
    sessions.add(request.stream.session);
    response.stream.respond({ ":status": 200 });
  });
  server.listen(0);
  cleanUp.push(() => new Promise((closed) => server.close(closed)));
  const { connect } = await gateway([`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`]);
  const session = connect();
  const streams = Array.from({ length: 7 }, () => session.request({ ":path": "/" }));
  await Promise.all(streams.map((stream) => once(stream, "response")));
  expect(sessions.size).toBe(4);
  for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
});

test.each([
  ["accepts connections and sends nothing", "", "the service cannot be reached"],
  [
    "sends SETTINGS and then nothing",
    "\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "the service did not answer, and may have done what was asked",
  ],
])("an HTTP/2 upstream that %s is `unavailable`", async (_what, hello, message) => {
  const server = net.createServer((socket) =>
    socket
      .on("error", () => {})
      .resume()
      .write(hello, "latin1"),
  );
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  cleanUp.push(() => server.close());
  const times = { connectTimeoutMs: 50, pingIntervalMs: 50, pingTimeoutMs: 50 };
  const { send } = await gateway([`http://127.0.0.1:${(server.address() as net.AddressInfo).port}`], times);
  expect(await send("HTTP/2", { headers: { "content-type": "application/grpc" } })).toMatchObject({
    headers: { "grpc-status": "14", "grpc-message": message },
  });
});

test("an answer of an HTTP/2 upstream that hangs halfway does not look complete", async () => {
  const server = await serve((_request, response) => response.write("half of it"));
  let fallSilent = () => {};
  const wire = net.createServer((socket) => {
    const onward = net.connect(portOf(server), "127.0.0.1");
    for (const end of [socket, onward]) end.on("error", () => {}).on("close", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
    fallSilent = () => socket.unpipe(onward).resume();
  });
  await new Promise<void>((listening) => wire.listen(0, "127.0.0.1", listening));
  cleanUp.push(() => wire.close());
  const { open } = await gateway([`http://127.0.0.1:${(wire.address() as net.AddressInfo).port}`], {
    pingIntervalMs: 50,
    pingTimeoutMs: 50,
  });
  const { body, resetCode } = await open("HTTP/2", {});
  await once(body, "data");
  fallSilent();
  await soon(once(body, "close").catch(() => {}));
  expect(resetCode()).not.toBe(0);
});

test("an idle HTTP/2 connection is closed, and a new one is opened for the next request", async () => {
  const left = vi.fn();
  const seen = new Set<unknown>();
  const { send } = await gatewayTo(
    (request, response) => {
      const { session } = streamOf(request)!;
      if (!seen.has(session)) session!.on("close", left);
      seen.add(session);
      response.end("ok");
    },
    { pingIntervalMs: 30 },
  );
  await send("HTTP/2", {});
  await vi.waitFor(() => expect(left).toHaveBeenCalledTimes(1));
  expect((await send("HTTP/2", {})).body).toBe("ok");
  expect(seen.size).toBe(2);
});

test.each([ofStream, ofUnary])(
  "a client that still uploads %s reads the early answer, and the process survives",
  async (_, isUnary) => {
    const { connect } = await gatewayTo(
      async (request, response) => {
        for await (const _first of request) break;
        response.writeHead(200, { "content-type": "application/grpc" });
        response.addTrailers({ "grpc-status": "8" });
        response.end();
      },
      {},
      { isUnary },
    );
    const session = connect();
    const upload = async () => {
      const stream = session.request({ ":method": "POST" });
      stream.on("error", () => {});
      const pieces = Array.from({ length: 10 }, () => Buffer.alloc(10_000));
      Readable.from(pieces).pipe(stream);
      const [trailers] = await Promise.all([once(stream.resume(), "trailers"), once(stream, "close")]);
      return trailers[0]["grpc-status"];
    };
    for (let round = 0; round < 20; round++) {
      expect(await Promise.all([upload(), upload(), upload(), upload()])).toEqual(["8", "8", "8", "8"]);
    }
  },
);

test.each(kinds)("on %s, by %s, reused connections accumulate no listeners", async (version, _, isUnary) => {
  const { send } = await gatewayTo(
    (request, response) => {
      request.resume();
      const emitter = streamOf(request)?.session ?? request.socket;
      const count = emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
      response.end(String(count));
    },
    {},
    { isUnary },
  );
  const counts: string[] = [];
  for (let i = 0; i < 20; i++) counts.push((await send(version, { method: "POST", body: "x" })).body);
  expect(new Set(counts.slice(2)).size, counts.join()).toBe(1);
});

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => unknown;

function echoHeaders(request: http.IncomingMessage, response: http.ServerResponse): void {
  const named = request.httpVersionMajor === 1 ? { connection: "keep-alive, x-named", "x-named": "1" } : {};
  response.writeHead(200, { ...named, "x-kept": "2" });
  response.end(JSON.stringify(Object.fromEntries(Object.entries(request.headers).filter(([name]) => name[0] !== ":"))));
}

function streamOf(request: http.IncomingMessage): http2.ServerHttp2Stream | undefined {
  return (request as unknown as Partial<http2.Http2ServerRequest>).stream;
}

async function serve(handler: Handler, options: OnePortOptions = {}, port = 0): Promise<OnePortServer> {
  const server = new OnePortServer({ closeGraceMs: 100, ...options }, handler);
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  cleanUp.push(() => new Promise((closed) => server.close(closed)));
  return server;
}

const urlOf = (server: http.Server) => `http://127.0.0.1:${portOf(server)}`;
const upstream = async (handler: Handler) => urlOf(await serve(handler));

async function gatewayTo(
  handler: Handler,
  options: Partial<ForwarderOptions<"service">> = {},
  forwardOptions: ForwardOptions & { readonly byNodesObjects?: boolean } = {},
) {
  const url = await upstream(handler);
  return { ...(await gateway([url], options, forwardOptions)), upstreamPort: Number(new URL(url).port) };
}

/** A gateway that forwards everything, unary calls over HTTP/2 directly from the stream, and clients of it. */
async function gateway(
  urls: readonly string[],
  options: Partial<ForwarderOptions<"service">> = {},
  forwardOptions: ForwardOptions & { readonly byNodesObjects?: boolean } = {},
) {
  const onFailure = vi.fn();
  const { forward, upstreams, close } = createForwarder({ onFailure, ...options, upstreams: { service: urls } });
  cleanUp.push(close);
  const carry = (exchange: Exchange) => forward(exchange, upstreams.service, forwardOptions);
  const server = await serve((request, response) => carry(nodeExchange(request, response)), {
    answersStream(stream, headers) {
      const takesStream = forwardOptions.isUnary === true && forwardOptions.byNodesObjects !== true;
      if (takesStream) void carry(streamExchange(stream, headers, {}));
      return takesStream;
    },
  });
  const port = portOf(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  cleanUp.push(() => agent.destroy());

  function connect(): http2.ClientHttp2Session {
    const session = http2.connect(`http://127.0.0.1:${port}`).on("error", () => {});
    cleanUp.push(() => session.destroy());
    return session;
  }
  let shared: http2.ClientHttp2Session | undefined;
  const open = (version: Version, call: Call): Promise<Opened> => {
    if (version === "HTTP/1.1") return open1(port, agent, call);
    shared ??= connect();
    return open2(shared, call);
  };
  async function send(version: Version, call: Call) {
    const { status, headers, endedWithHead, body, trailers } = await open(version, call);
    return { status, headers, endedWithHead, body: await text(body), trailers: trailers() };
  }
  /** Makes a request whose body is sent in pieces. */
  function ask(version: Version) {
    if (version === "HTTP/2") {
      const stream = connect().request({ ":method": "POST", ":path": "/" });
      return asked(stream, () => stream.close(http2.constants.NGHTTP2_CANCEL));
    }
    const request = http.request({ host: "127.0.0.1", port, method: "POST", agent: false });
    return asked(request, () => request.destroy());
  }
  return { port, connect, open, send, ask, onFailure, close };
}

function asked(request: http.ClientRequest | http2.ClientHttp2Stream, cancel: () => void) {
  let answered = false;
  const answer = new Promise<string>((resolve) => {
    request.once("response", (response: unknown) => {
      answered = true;
      resolve(text("rstCode" in request ? request : (response as http.IncomingMessage)));
    });
  });
  const closed = new Promise<number>((resolve) => {
    request.on("error", () => {}).once("close", () => resolve(("rstCode" in request && request.rstCode) || 0));
  });
  return {
    ...{ answer, closed, cancel, isAnswered: () => answered },
    write: (chunk: string) => void request.write(chunk),
    end: (chunk: string) => void request.end(chunk),
  };
}

interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string;
  readonly trailers?: http.OutgoingHttpHeaders;
  readonly keepOpen?: boolean;
}

interface Opened {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly endedWithHead: boolean;
  readonly body: Readable;
  trailers(): http.IncomingHttpHeaders;
  resetCode(): number | undefined;
  cancel(): void;
}

async function open1(port: number, agent: http.Agent, call: Call): Promise<Opened> {
  const { method = "GET", path = "/", headers = {}, body, trailers, keepOpen } = call;
  const request = http.request({ host: "127.0.0.1", port, agent, method, path, headers });
  request.on("error", () => {});
  if (body !== undefined) request.write(body);
  if (trailers !== undefined) request.addTrailers(trailers as Record<string, string>);
  // The forwarder sends the head with the first bytes of the body.
  if (keepOpen) request.write("x");
  else request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return {
    status: response.statusCode,
    headers: response.headers,
    endedWithHead: false,
    body: response,
    trailers: () => response.trailers,
    resetCode: () => undefined,
    cancel: () => request.destroy(),
  };
}

async function open2(session: http2.ClientHttp2Session, call: Call): Promise<Opened> {
  const { method = "GET", path = "/", headers = {}, body, trailers, keepOpen } = call;
  const stream = session.request(
    { ":method": method, ":path": path, ...headers },
    { endStream: body === undefined && !keepOpen, waitForTrailers: trailers !== undefined },
  );
  stream.on("wantTrailers", () => stream.sendTrailers(trailers ?? {}));
  if (body !== undefined) stream.end(body);
  let answered: http.IncomingHttpHeaders = {};
  stream.on("trailers", (received) => {
    answered = received;
  });
  const [response, flags] = (await once(stream, "response")) as [
    http2.IncomingHttpHeaders & { ":status": number },
    number,
  ];
  stream.on("error", () => {});
  return {
    status: response[":status"],
    headers: response,
    endedWithHead: (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0,
    body: stream,
    trailers: () => answered,
    resetCode: () => stream.rstCode,
    cancel: () => stream.close(http2.constants.NGHTTP2_CANCEL),
  };
}
