import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { connect } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { createMetrics } from "@shop/runtime";
import { silentLog } from "@shop/runtime/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { ServerOptions } from "../server.ts";
import { forwarding, openTestPort } from "../testing/test-port.ts";
import { BufferedBytes } from "./buffered-bytes.ts";

const mebibyte = 1_048_576;
const total = 4 * mebibyte;
/** The share of one address. */
const share = mebibyte;
const bodyBytes = 60_000;
const [abuser, customer] = ["127.0.0.1", "127.9.9.9"];

const path = "/shop.common.v1.DeadLetterService/ListDeadLetters";
const unreadBytes = mebibyte / 2;

const routes = (router: ConnectRouter) =>
  void router.service(DeadLetterService, {
    listDeadLetters: ({ pageToken }) => ({ nextPageToken: pageToken === "long" ? "x".repeat(unreadBytes) : "next" }),
    redriveDeadLetter: () => ({}),
  });

async function openPort(options: Partial<ServerOptions> = {}) {
  const bufferedBytes = new BufferedBytes(total);
  const { port } = await openTestPort({ hosted: () => routes, bufferedBytes, ...options });
  return { port, bufferedBytes };
}

/** A port that forwards to another process, which has its own budget. */
async function openForwardingPort() {
  const behind = await openTestPort({ hosted: () => routes, isPublic: false, bufferedBytes: new BufferedBytes(0) });
  return await openPort(forwarding(`http://127.0.0.1:${behind.port}`));
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly retryAfter: string | undefined;
}

/** A request that is sent except for its last byte, until `finish` is called. */
interface Unfinished {
  readonly answer: Promise<Answer>;
  finish(): void;
}

type Open = (port: number, localAddress: string, body: Buffer) => Promise<Unfinished>;

function http1(target: string, headers: http.OutgoingHttpHeaders): Open {
  return async (port, localAddress, body) => {
    const length = "transfer-encoding" in headers ? {} : { "content-length": body.byteLength };
    const request = http.request({
      ...{ host: "127.0.0.1", port, localAddress, agent: false, method: "POST", path: target },
      headers: { ...headers, ...length },
    });
    onTestFinished(() => void request.destroy());
    request.on("error", () => {});
    request.write(body.subarray(0, -1));
    const answer = once(request, "response").then(async ([response]: http.IncomingMessage[]) => ({
      status: response!.statusCode!,
      text: `${Buffer.concat(await response!.toArray()).toString("latin1")}${JSON.stringify(response!.headers)}`,
      retryAfter: response!.headers["retry-after"],
    }));
    return { answer, finish: () => request.end(body.subarray(-1)) };
  };
}

function overHttp2(headers: http2.OutgoingHttpHeaders): Open {
  return async (port, localAddress, body) => {
    const session = http2.connect(`http://127.0.0.1:${port}`, { localAddress } as http2.ClientSessionOptions);
    session.on("error", () => {});
    onTestFinished(() => session.destroy());
    const stream = session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers });
    stream.on("error", () => {});
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on("trailers", (block: http2.IncomingHttpHeaders) => {
      trailers = block;
    });
    stream.write(body.subarray(0, -1));
    const answer = once(stream, "response").then(
      async ([head]: (http2.IncomingHttpHeaders & { ":status": number })[]) => {
        const text = Buffer.concat(await stream.toArray()).toString("latin1");
        const said = JSON.stringify({ ...head, ...trailers });
        return { status: head![":status"], text: `${text}${said}`, retryAfter: undefined };
      },
    );
    return { answer, finish: () => stream.end(body.subarray(-1)) };
  };
}

function enveloped(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}

/** JSON, or protobuf with an unknown field, of this length; both mean an empty request. */
const inJson = (bytes: number) => Buffer.from(`{}${" ".repeat(bytes - 2)}`);
function inProto(bytes: number): Buffer {
  // Field 999, length-delimited, whose length takes three bytes.
  const length = bytes - 5;
  const tag = [0xba, 0x3e, (length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
  return Buffer.concat([Buffer.from(tag), Buffer.alloc(length)]);
}

const json = { "content-type": "application/json" };
const ways: readonly (readonly [string, Open, (bytes: number) => Buffer])[] = [
  ["Connect on the fast path", http1(path, json), inJson],
  ["Connect by the fallback", http1(path, { ...json, "transfer-encoding": "chunked" }), inJson],
  ["gRPC-Web", http1(path, { "content-type": "application/grpc-web+proto" }), (bytes) => enveloped(inProto(bytes))],
  ["REST", http1("/admin/dead-letters/1:redrive", json), inJson],
  ["gRPC on the fast path", overHttp2({ "content-type": "application/grpc" }), (bytes) => enveloped(inProto(bytes))],
  [
    "gRPC by the fallback",
    overHttp2({ "content-type": "application/grpc", "grpc-encoding": "gzip" }),
    (bytes) => enveloped(inProto(bytes)),
  ],
  ["Connect over HTTP/2", overHttp2(json), inJson],
];

async function abuse(
  { port, bufferedBytes }: Awaited<ReturnType<typeof openPort>>,
  [open, bodyOf]: readonly [Open, (bytes: number) => Buffer],
  [bytes, times]: readonly [number, number],
) {
  let most = 0;
  const look = setInterval(() => {
    most = Math.max(most, bufferedBytes.used);
  }, 1);
  onTestFinished(() => clearInterval(look));
  const refused: Answer[] = [];
  for (let n = 0; n < times; n++) {
    const { answer } = await open(port, abuser, bodyOf(bytes));
    void answer.then(
      (answer) => refused.push(answer),
      () => {},
    );
  }
  // The others stay buffered until they end: as many as fit into the share, less one whose last chunk may be missing.
  await vi.waitFor(() => expect(refused.length).toBeGreaterThanOrEqual(times - Math.floor(share / bytes)), 15_000);
  const unfinished = await open(port, customer, bodyOf(bytes));
  unfinished.finish();
  return { refused, most, customers: await unfinished.answer };
}

describe.each(ways)("unfinished bodies: %s", (_way, open, bodyOf) => {
  test("one address gets its share of the budget and no more, and another address's call is answered", async () => {
    const port = await openPort();
    const { refused, most, customers } = await abuse(port, [open, bodyOf], [bodyBytes, 24]);
    for (const { text, status } of refused) {
      expect(text).toMatch(/BUFFERS_FULL|too many bytes|too%20many%20bytes/);
      expect([200, 429]).toContain(status);
    }
    expect(most).toBeLessThanOrEqual(share);
    expect(customers.text).not.toMatch(/too many bytes/);
    expect(customers.status).toBe(200);
  });
});

describe.each(ways.filter(([way]) => /fast path|REST/.test(way)))(
  "unfinished bodies, forwarded: %s",
  (_way, open, bodyOf) => {
    test("one address gets its share of the budget and no more, and another address's call is answered", async () => {
      const port = await openForwardingPort();
      const { refused, most, customers } = await abuse(port, [open, bodyOf], [bodyBytes, 24]);
      expect(refused[0]!.text).toMatch(/BUFFERS_FULL|too many bytes|too%20many%20bytes/);
      expect(most).toBeLessThanOrEqual(share);
      expect(customers.status).toBe(200);
    });
  },
);

test("a refused request gets the reason and a retry delay, and is counted", async () => {
  const metrics = createMetrics(silentLog);
  const port = await openPort({ metrics });
  const { refused } = await abuse(port, [ways[0]![1], inJson], [bodyBytes, 24]);
  expect(refused[0]).toMatchObject({ status: 429, text: expect.stringContaining("BUFFERS_FULL") });
  expect(refused[0]!.text).toContain("RetryInfo");
  expect(await metrics.text()).toContain(`shop_bytes_refused_total{what="request"} ${refused.length}\n`);
});

test("a body's bytes are released when it ends, and when its sender goes away", async () => {
  const { port, bufferedBytes } = await openPort();
  for (const [, open, bodyOf] of ways) {
    const one = await open(port, abuser, bodyOf(bodyBytes));
    await vi.waitFor(() => expect(bufferedBytes.used).toBeGreaterThan(0));
    one.finish();
    expect((await one.answer).status).toBe(200);
    expect(bufferedBytes.used).toBe(0);
  }
  const socket = connect({ port, host: "127.0.0.1" });
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{`,
  );
  await vi.waitFor(() => expect(bufferedBytes.used).toBeGreaterThan(0));
  socket.destroy();
  await vi.waitFor(() => expect(bufferedBytes.used).toBe(0));
});

describe("unread answers", () => {
  const long = JSON.stringify({ pageToken: "long" });

  async function expectCustomerIsAnswered(port: number): Promise<void> {
    const { answer, finish } = await http1(path, json)(port, customer, Buffer.from(long));
    finish();
    expect((await answer).text.length).toBeGreaterThan(unreadBytes);
  }

  test("of many streams on one connection those beyond its share are reset, and another client gets its answer", async () => {
    const { port, bufferedBytes } = await openPort();
    const settings = { initialWindowSize: 0 };
    const session = http2.connect(`http://127.0.0.1:${port}`, { settings });
    onTestFinished(() => session.destroy());
    const codes: number[] = [];
    for (let n = 0; n < 20; n++) {
      const stream = session.request({ ":method": "POST", ":path": path, ...json });
      stream.on("error", () => {});
      stream.on("close", () => codes.push(stream.rstCode));
      stream.end(long);
    }
    await vi.waitFor(() => expect(codes.length).toBeGreaterThanOrEqual(18), 10_000);
    expect(new Set(codes)).toEqual(new Set([http2.constants.NGHTTP2_CANCEL]));
    expect(bufferedBytes.used).toBeLessThanOrEqual(share);
    await expectCustomerIsAnswered(port);
  });

  test("a connection with many pipelined HTTP/1.1 requests is closed and counted, and another client gets its answer", async () => {
    const metrics = createMetrics(silentLog);
    const { port, bufferedBytes } = await openPort({ metrics });
    const socket = connect({ port, host: "127.0.0.1" });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    const cut = new Promise((resolve) => socket.once("close", resolve));
    const head = `POST ${path} HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: ${long.length}\r\n\r\n${long}`.repeat(60));
    // It reads nothing, so it notices the closed connection only when it sends.
    const nudge = setInterval(() => socket.write("\r\n"), 50);
    onTestFinished(() => clearInterval(nudge));
    await cut;
    expect(await metrics.text()).toContain('shop_bytes_refused_total{what="answer"} 1\n');
    await vi.waitFor(() => expect(bufferedBytes.used).toBe(0));
    await expectCustomerIsAnswered(port);
  });
});
