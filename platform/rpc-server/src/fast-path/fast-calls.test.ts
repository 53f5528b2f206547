import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { DomainError } from "@shop/core";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService, ListDeadLettersRequestSchema } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { nodeExchange, streamExchange } from "../exchange.ts";
import { BufferedBytes, createHoldBytes } from "../pipeline/buffered-bytes.ts";
import { collectMethods } from "../pipeline/invoke.ts";
import { createRouterOptions } from "../pipeline/router-options.ts";
import type { HoldCall } from "../protocols/protocol.ts";
import { openTap, type Tap } from "../testing/tap.ts";
import { forwarding, openTestPort, testRules } from "../testing/test-port.ts";
import { fastConnectCalls, fastGrpcCalls } from "./fast-calls.ts";
import { unaryMethods } from "./unary-method.ts";

const path = "/shop.common.v1.DeadLetterService/ListDeadLetters";

/** What the method does, by the page token of the request. */
const scenarios: Record<string, (context: HandlerContext) => unknown> = {
  "": () => ({ nextPageToken: "next" }),
  long: () => ({ nextPageToken: "ä".repeat(2_000) }),
  headers(context) {
    context.responseHeader.set("x-said", "in the header");
    context.responseHeader.set("cache-control", "max-age=1");
    context.responseHeader.append("set-cookie", "a=1");
    context.responseHeader.append("set-cookie", "b=2");
    context.responseTrailer.set("x-said", "in the trailer");
    return {};
  },
  refuses(context) {
    context.responseHeader.set("x-said", "before");
    context.responseTrailer.set("x-said", "after");
    throw new ConnectError(
      "the one or other ä 100%",
      Code.FailedPrecondition,
      { "x-meta": "data", "content-length": "7" },
      [{ desc: ErrorInfoSchema, value: { reason: "WHY", domain: "here" } }],
    );
  },
  forbids: () => {
    throw new DomainError("permission_denied", "NOT_YOURS", "this is not yours", { retryAfterMs: 2_000 });
  },
  fails: () => {
    throw new Error("a secret");
  },
  deadline: (context) => ({ nextPageToken: `${Math.round((context.timeoutMs() ?? 0) / 60_000)} minutes` }),
  asks: (context) => ({
    nextPageToken: JSON.stringify({
      ...{ header: context.requestHeader.get("X-Asked"), all: [...context.requestHeader.keys()].length > 3 },
      ...{ protocol: context.protocolName, verb: context.requestMethod, path: new URL(context.url).pathname },
      ...{ timeLeft: (context.timeoutMs() ?? Number.POSITIVE_INFINITY) > 1_000, aborted: context.signal.aborted },
    }),
  }),
};

const routes = (router: ConnectRouter) =>
  void router.service(DeadLetterService, {
    async listDeadLetters({ pageToken }, context) {
      await null;
      return scenarios[pageToken]!(context) as object;
    },
  });

async function authorize(_method: unknown, header: Headers) {
  if (header.get("authorization") === "Bearer bad") throw new DomainError("unauthenticated", "BAD", "no");
  return { kind: "anonymous" } as const;
}

const routerOptions = createRouterOptions(testRules(authorize));

/** The same port twice: with and without the fast path. */
async function openPorts(): Promise<number[]> {
  const open = async (fastPath: boolean) =>
    await openTestPort({ hosted: () => routes, routerOptions, authorize, fastPath });
  return [(await open(true)).port, (await open(false)).port];
}

/** Two ports that forward to the same one: with and without the fast path. */
async function openForwardingPorts(): Promise<number[]> {
  const { port } = await openTestPort({ hosted: () => routes, routerOptions, authorize, isPublic: false });
  const open = async (fastPath: boolean) =>
    await openTestPort({ ...forwarding(`http://127.0.0.1:${port}`), routerOptions, authorize, fastPath });
  return [(await open(true)).port, (await open(false)).port];
}

/**
 * Two ports that forward to the same one, and where the first one's upstream has been reached: on a multiplexed connection, and
 * over HTTP, since a port without the fast path takes no other.
 */
async function openMultiplexingPorts(): Promise<number[]> {
  return (await openMultiplexing()).ports;
}

async function openMultiplexing() {
  const internal = { hosted: () => routes, routerOptions, authorize, isPublic: false };
  const open = async (fastPath: boolean) => {
    const tap = await openTap((await openTestPort({ ...internal, fastPath })).port);
    const to = forwarding(`http://127.0.0.1:${tap.port}`);
    return { tap, ...(await openTestPort({ ...to, routerOptions, authorize })) };
  };
  const [multiplexing, other] = [await open(true), await open(false)];
  await vi.waitFor(async () =>
    expect(await isMultiplexed(multiplexing, () => askHttp1(multiplexing.port, json, inJson({})))).toBe(true),
  );
  return {
    ports: [multiplexing.port, other.port],
    isMultiplexed: (ask: () => Promise<unknown>) => isMultiplexed(multiplexing, ask),
  };
}

/** 15,000 bytes: a port accepts 16 KiB. */
const longHeaders = (character: string) =>
  Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`x-${n}`, character.repeat(1_000)]));

async function isMultiplexed({ tap }: { readonly tap: Tap }, ask: () => Promise<unknown>): Promise<boolean> {
  const before = [tap.multiplexedBytes, tap.httpBytes];
  await ask();
  return tap.multiplexedBytes > before[0]! && tap.httpBytes === before[1];
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly trailers?: http.IncomingHttpHeaders;
  readonly body: string;
}

async function askHttp1(
  port: number,
  headers: http.OutgoingHttpHeaders,
  body: Uint8Array,
  line: { readonly method: string; readonly path: string } = { method: "POST", path },
): Promise<Answer> {
  const request = http.request({ host: "127.0.0.1", port, ...line, agent: false, headers });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const bytes = Buffer.concat(await response.toArray());
  const { date: _, ...rest } = response.headers;
  return { status: response.statusCode, headers: rest, body: bytes.toString("latin1") };
}

async function askGrpc(port: number, headers: http2.OutgoingHttpHeaders, body: Uint8Array): Promise<Answer> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  const stream = session.request(
    { ":method": "POST", ":path": path, te: "trailers", ...headers },
    { endStream: false },
  );
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (block: http2.IncomingHttpHeaders) => {
    trailers = block;
  });
  stream.end(body);
  const [response] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  const bytes = Buffer.concat(await stream.toArray());
  const {
    date: _,
    ":status": status,
    ...rest
  } = response as http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  // For an uncompressed answer one of them names the compressions it could have used, the other does not.
  if (bytes[0] === 0 || bytes.byteLength === 0) delete rest["grpc-encoding"];
  return { status, headers: rest, trailers, body: bytes.toString("latin1") };
}

const json = { "content-type": "application/json" };
const proto = { "content-type": "application/proto" };
const grpc = { "content-type": "application/grpc" };
const inJson = (message: unknown) => Buffer.from(JSON.stringify(message));
const inProto = (pageToken: string, pageSize = 0) =>
  toBinary(ListDeadLettersRequestSchema, create(ListDeadLettersRequestSchema, { pageToken, pageSize }));
const asked = { "x-asked": "what" };

describe.each([
  ["the fast path gives the same answer as Connect's own handlers", openPorts],
  ["a forwarded call gets the same answer with and without Fastify", openForwardingPorts],
  ["a forwarded call gets the same answer on a multiplexed connection and over HTTP", openMultiplexingPorts],
])("%s", (_way, openBoth) => {
  test.each<[string, http.OutgoingHttpHeaders, Uint8Array]>([
    ...Object.keys(scenarios).flatMap((scenario): [string, http.OutgoingHttpHeaders, Uint8Array][] => [
      [`JSON, ${scenario || "plain"}`, { ...json, ...asked }, inJson({ pageToken: scenario })],
      [`proto, ${scenario || "plain"}`, { ...proto, ...asked }, inProto(scenario)],
    ]),
    ["with a charset", { "content-type": "application/json; charset=utf-8" }, inJson({})],
    ["a long answer that may be compressed", { ...json, "accept-encoding": "br, gzip" }, inJson({ pageToken: "long" })],
    ["a long error that may be compressed", { ...proto, "accept-encoding": "gzip" }, inProto("long", 1_000)],
    ["an identity-encoded body", { ...json, "content-encoding": "identity" }, inJson({})],
    ["an unknown encoding", { ...json, "content-encoding": "zstd" }, inJson({})],
    ["an empty body", proto, new Uint8Array()],
    ["invalid JSON", json, Buffer.from("{")],
    ["an empty body for JSON", json, new Uint8Array()],
    ["an unknown field", json, inJson({ color: "red" })],
    ["a field of another type", json, inJson({ pageSize: "many" })],
    ["bytes that do not decode", proto, Buffer.from([0x0a, 0x7f, 0x01])],
    ["a request that violates the schema's rules", json, inJson({ pageSize: 1_000 })],
    ["an unauthorized caller", { ...json, authorization: "Bearer bad" }, inJson({})],
    ["an unauthorized caller with an invalid body", { ...json, authorization: "Bearer bad" }, Buffer.from("{")],
    ["a deadline", { ...json, ...asked, "connect-timeout-ms": "5000" }, inJson({ pageToken: "asks" })],
    ["an invalid deadline", { ...json, "connect-timeout-ms": "soon" }, inJson({})],
    ["a deadline beyond the limit", { ...json, "connect-timeout-ms": "9999999999" }, inJson({ pageToken: "deadline" })],
    ["a string that is not an integer", json, inJson({ pageSize: "0x1" })],
    ["a duplicate key", json, Buffer.from('{"pageSize": 1, "pageSize": 2}')],
    ["a string of invalid UTF-8", json, Buffer.from([...Buffer.from('{"pageToken": "'), 0xff, ...Buffer.from('"}')])],
    ["an unknown content type", { "content-type": "text/plain" }, inJson({})],
    ["a content type that every object has as a property", { "content-type": "constructor" }, inProto("")],
    ["chunks", { ...json, "transfer-encoding": "chunked" }, inJson({})],
  ])("over HTTP/1.1: %s", async (_what, headers, body) => {
    const [lean, stock] = await openBoth();
    expect(await askHttp1(lean!, headers, body)).toEqual(await askHttp1(stock!, headers, body));
  });

  test.each<[string, http2.OutgoingHttpHeaders, Uint8Array]>([
    ...Object.keys(scenarios).map((scenario): [string, http2.OutgoingHttpHeaders, Uint8Array] => [
      scenario || "plain",
      { ...grpc, ...asked },
      encodeEnvelope(0, inProto(scenario)),
    ]),
    ["with +proto", { "content-type": "application/grpc+proto" }, encodeEnvelope(0, inProto(""))],
    [
      "a long answer that may be compressed",
      { ...grpc, "grpc-accept-encoding": "identity,gzip" },
      encodeEnvelope(0, inProto("long")),
    ],
    ["a deadline", { ...grpc, ...asked, "grpc-timeout": "5S" }, encodeEnvelope(0, inProto("asks"))],
    ["an invalid deadline", { ...grpc, "grpc-timeout": "soon" }, encodeEnvelope(0, inProto(""))],
    ["a deadline beyond the limit", { ...grpc, "grpc-timeout": "99999999H" }, encodeEnvelope(0, inProto("deadline"))],
    ["no message", grpc, new Uint8Array()],
    ["half a message", grpc, encodeEnvelope(0, inProto("headers")).subarray(0, 8)],
    ["two messages", grpc, Buffer.concat([encodeEnvelope(0, inProto("")), encodeEnvelope(0, inProto(""))])],
    ["bytes that do not decode", grpc, encodeEnvelope(0, Uint8Array.of(0x0a, 0x7f, 1))],
    ["a message that claims to be compressed", grpc, encodeEnvelope(1, inProto(""))],
    ["a message that is too large", grpc, encodeEnvelope(0, new Uint8Array(1_100_000))],
    ["a request that violates the schema's rules", grpc, encodeEnvelope(0, inProto("", 1_000))],
    ["an unauthorized caller", { ...grpc, authorization: "Bearer bad" }, encodeEnvelope(0, inProto(""))],
    ["an unknown content type", { "content-type": "text/plain" }, encodeEnvelope(0, inProto(""))],
    ["Connect instead", json, inJson({ pageToken: "long" })],
    ["gRPC-Web instead", { "content-type": "application/grpc-web+proto" }, encodeEnvelope(0, inProto("headers"))],
    ["no such method", { ...grpc, ":path": `${path}s` }, encodeEnvelope(0, inProto(""))],
    ["REST instead", { ":method": "GET", ":path": "/admin/dead-letters?page_token=headers" }, new Uint8Array()],
  ])("gRPC: %s", async (_what, headers, body) => {
    const [lean, stock] = await openBoth();
    expect(await askGrpc(lean!, headers, body)).toEqual(await askGrpc(stock!, headers, body));
  });
});

describe.each([
  ["the fast path and Connect's handlers", openPorts],
  ["forwarding ports with and without the fast path", openForwardingPorts],
  ["forwarding ports with and without multiplexed connections", openMultiplexingPorts],
])("%s answer other requests alike:", (_way, openBoth) => {
  const rest = "/admin/dead-letters";
  test.each<[string, string, string, http.OutgoingHttpHeaders]>([
    ["REST", "GET", `${rest}?page_token=headers`, {}],
    ["REST from another origin", "GET", rest, { origin: "https://shop.example" }],
    ["REST that fails", "GET", `${rest}?page_token=refuses`, {}],
    ["REST by an unauthorized caller", "GET", rest, { authorization: "Bearer bad" }],
    ["REST without a body", "HEAD", rest, {}],
    ["REST with a disallowed HTTP method", "DELETE", rest, {}],
    ["Connect by GET", "GET", `${path}?connect=v1&encoding=json&message=%7B%7D`, {}],
    ["gRPC-Web", "POST", path, { "content-type": "application/grpc-web+proto" }],
    ["no such method", "POST", `${path}s`, json],
  ])("%s", async (_what, method, target, headers) => {
    const [lean, stock] = await openBoth();
    const ask = async (port: number) => await askHttp1(port, headers, new Uint8Array(), { method, path: target });
    expect(await ask(lean!)).toEqual(await ask(stock!));
  });
});

describe.each([
  ["here", openPorts],
  ["where the call is forwarded to", openForwardingPorts],
  ["where the call is multiplexed to", openMultiplexingPorts],
])("%s", (_where, openBoth) => {
  test("a deadline beyond the limit of an hour is capped to it, in every protocol", async () => {
    const web = { "content-type": "application/grpc-web+proto", "grpc-timeout": "99999999H" };
    const far = { ...json, "connect-timeout-ms": "9999999999" };
    for (const port of await openBoth()) {
      const answers = [
        await askHttp1(port, far, inJson({ pageToken: "deadline" })),
        await askHttp1(port, { ...far, "content-encoding": "gzip" }, gzipSync(inJson({ pageToken: "deadline" }))),
        await askHttp1(port, web, encodeEnvelope(0, inProto("deadline"))),
        await askGrpc(port, { ...grpc, "grpc-timeout": "99999999H" }, encodeEnvelope(0, inProto("deadline"))),
        await askHttp1(port, { "connect-timeout-ms": "9999999999" }, new Uint8Array(), {
          method: "GET",
          path: "/admin/dead-letters?page_token=deadline",
        }),
      ];
      for (const { status, body } of answers)
        expect([status, body]).toEqual([200, expect.stringContaining("60 minutes")]);
    }
  });

  test("a string that is not an integer is refused with its field, in every protocol that has JSON", async () => {
    for (const port of await openBoth()) {
      for (const text of ["0x1", "1e3", " 1", "", "+1", "01"]) {
        const wrong = inJson({ pageSize: text });
        const query = `page_size=${encodeURIComponent(text)}`;
        const answers = [
          await askHttp1(port, json, wrong),
          await askHttp1(port, { ...json, "content-encoding": "gzip" }, gzipSync(wrong)),
          await askHttp1(port, {}, new Uint8Array(), { method: "GET", path: `/admin/dead-letters?${query}` }),
          await askHttp1(port, {}, new Uint8Array(), {
            method: "GET",
            path: `${path}?connect=v1&encoding=json&message=${encodeURIComponent(String(wrong))}`,
          }),
        ];
        for (const { status, body } of answers)
          expect([status, body]).toEqual([
            400,
            expect.stringContaining(`expected an integer, got ${JSON.stringify(JSON.stringify(text)).slice(1, -1)}`),
          ]);
      }
    }
  });
});

test("REST and the usual unary calls of Connect and gRPC are multiplexed, of HTTP/1.1 and HTTP/2 alike, and others are not", async () => {
  const { ports, isMultiplexed } = await openMultiplexing();
  const port = ports[0]!;
  const rest = (method: string) => askHttp1(port, {}, new Uint8Array(), { method, path: "/admin/dead-letters" });
  const connectGet = { method: "GET", path: `${path}?connect=v1&encoding=json&message=%7B%7D` };
  const asks: Record<string, () => Promise<unknown>> = {
    json: () => askHttp1(port, json, inJson({})),
    "an error": () => askHttp1(port, json, inJson({ pageToken: "refuses" })),
    proto: () => askHttp1(port, proto, inProto("")),
    grpc: () => askGrpc(port, grpc, encodeEnvelope(0, inProto(""))),
    "json over HTTP/2": () => askGrpc(port, json, inJson({})),
    rest: () => rest("GET"),
    head: () => rest("HEAD"),
    "a body that does not decode": () => askHttp1(port, json, Buffer.from("{")),
    compressed: () => askHttp1(port, { ...json, "content-encoding": "gzip" }, gzipSync(inJson({}))),
    "connect by GET": () => askHttp1(port, {}, new Uint8Array(), connectGet),
    "headers as long as can be": () => askHttp1(port, { ...json, ...longHeaders('"') }, inJson({})),
    "and of other characters": () => askHttp1(port, { ...json, ...longHeaders("\u00ff") }, inJson({})),
    "a long body": () => askHttp1(port, json, inJson({ pageToken: "x".repeat(70_000) })),
  };
  const multiplexed: string[] = [];
  for (const [name, ask] of Object.entries(asks)) if (await isMultiplexed(ask)) multiplexed.push(name);
  expect(multiplexed).toEqual([
    "json",
    "an error",
    "proto",
    "grpc",
    "json over HTTP/2",
    "rest",
    "head",
    ...["headers as long as can be", "and of other characters"],
  ]);
});

/** A server that answers on the fast path, or with 418. */
async function listen(waits: (context: HandlerContext) => Promise<object>) {
  const router = createConnectRouter({});
  const register = (to: ConnectRouter) =>
    void to.service(DeadLetterService, { listDeadLetters: (_, context) => waits(context) });
  register(router);
  const fallbackIsAsked = router.handlers.map((handler) =>
    Object.assign(() => Promise.reject(new Error("asked")), { ...handler }),
  );
  const options = { readMaxBytes: 1_000 };
  const methods = unaryMethods(fallbackIsAsked as never, collectMethods([register]), options);
  const holdBytes = createHoldBytes({
    bufferedBytes: new BufferedBytes(0),
    isPublic: false,
    trustsProxy: () => false,
    metrics: undefined,
  });
  const hold: HoldCall = (_call, { headers, connection }) => holdBytes(headers, connection, undefined);
  const protocols = { http1: fastConnectCalls(methods, hold), stream: fastGrpcCalls(methods, hold) };
  const call = {
    kind: "call",
    method: DeadLetterService.method.listDeadLetters,
    rest: undefined,
    isHosted: true,
  } as const;
  const left = 418;
  const http1 = http.createServer((request, response) => {
    const head = { method: request.method!, url: request.url!, headers: request.headers, source: "http1" } as const;
    if (!protocols.http1.takes(call, head)) response.writeHead(left).end();
    else void protocols.http1.answer(call, nodeExchange(request, response));
  });
  const grpcServer = http2.createServer();
  grpcServer.on("stream", (stream, headers) => {
    const head = { method: headers[":method"]!, url: headers[":path"]!, headers, source: "stream" } as const;
    if (!protocols.stream.takes(call, head)) stream.respond({ ":status": left }, { endStream: true });
    else void protocols.stream.answer(call, streamExchange(stream, headers, {}));
  });
  const ports = [];
  for (const server of [http1, grpcServer]) {
    await once(server.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void server.close());
    ports.push((server.address() as { port: number }).port);
  }
  return { http1: ports[0]!, grpc: ports[1]! };
}

describe("ordinary calls take the fast path, and no other calls do", () => {
  test.each<[string, number, http.OutgoingHttpHeaders]>([
    ["JSON", 200, json],
    ["proto", 200, proto],
    ["with a deadline", 200, { ...json, "connect-timeout-ms": "100" }],
    ["compressed", 418, { ...json, "content-encoding": "gzip" }],
    ["of unknown length", 418, { ...json, "transfer-encoding": "chunked" }],
    ["too long", 418, { ...json, "content-length": "1001" }],
    ["gRPC-Web", 418, { "content-type": "application/grpc-web+proto" }],
  ])("over HTTP/1.1: %s", async (_what, status, headers) => {
    const { http1: port } = await listen(async () => ({}));
    expect((await askHttp1(port, headers, headers === proto ? inProto("") : inJson({}))).status).toBe(status);
  });

  test.each<[string, number, http2.OutgoingHttpHeaders]>([
    ["proto", 200, grpc],
    ["with a deadline", 200, { ...grpc, "grpc-timeout": "1S" }],
    ["compressed", 418, { ...grpc, "grpc-encoding": "gzip" }],
    ["JSON", 418, { "content-type": "application/grpc+json" }],
  ])("gRPC: %s", async (_what, status, headers) => {
    const { grpc: port } = await listen(async () => ({}));
    expect((await askGrpc(port, headers, encodeEnvelope(0, inProto("")))).status).toBe(status);
  });
});

describe("the signal of a method on the fast path is aborted", () => {
  /** Rejects with the signal's reason, as soon as it is aborted. */
  const untilAborted = ({ signal }: HandlerContext) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      if (signal.aborted) reject(signal.reason);
    });

  test("at the deadline, over HTTP/1.1", async () => {
    const { http1: port } = await listen(untilAborted);
    const answer = await askHttp1(port, { ...json, "connect-timeout-ms": "20" }, inJson({}));
    expect(JSON.parse(answer.body)).toEqual({ code: "deadline_exceeded", message: "the operation timed out" });
  });

  test("at the deadline, in gRPC", async () => {
    const { grpc: port } = await listen(untilAborted);
    const answer = await askGrpc(port, { ...grpc, "grpc-timeout": "20m" }, encodeEnvelope(0, inProto("")));
    expect(answer.trailers).toMatchObject({ "grpc-status": String(Code.DeadlineExceeded) });
  });

  test.each(["before it is read", "while the method waits"])(
    "when the caller goes away %s, over HTTP/1.1",
    async (when) => {
      const called = Promise.withResolvers<http.ClientRequest>();
      const aborted = Promise.withResolvers<unknown>();
      const { http1: port } = await listen(async (context) => {
        if (when === "while the method waits") context.signal;
        (await called.promise).destroy();
        // The server has noticed when the response is closed.
        if (when === "before it is read") await gone.promise;
        return await untilAborted(context).catch((reason) => {
          aborted.resolve(reason);
          return {};
        });
      });
      const gone = Promise.withResolvers<void>();
      const request = http.request({ host: "127.0.0.1", port, path, method: "POST", agent: false, headers: json });
      request.on("error", () => gone.resolve());
      request.on("close", () => gone.resolve());
      request.end("{}");
      called.resolve(request);
      expect(await aborted.promise).toMatchObject({ code: Code.Canceled });
    },
  );

  test("when the caller resets the stream, in gRPC", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const reached = Promise.withResolvers<void>();
    const { grpc: port } = await listen(async (context) => {
      reached.resolve();
      return await untilAborted(context).catch((reason) => {
        aborted.resolve(reason);
        return {};
      });
    });
    const session = http2.connect(`http://127.0.0.1:${port}`);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": path, ...grpc });
    stream.on("error", () => {});
    stream.end(encodeEnvelope(0, inProto("")));
    await reached.promise;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    expect(await aborted.promise).toMatchObject({ code: Code.Canceled });
  });
});
