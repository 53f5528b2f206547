import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { Health, HealthCheckRequestSchema } from "@shop/gen/grpc/health/v1/health_pb";
import {
  DeadLetterService,
  ListDeadLettersRequestSchema,
  ListDeadLettersResponseSchema,
} from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { describe, expect, test } from "vitest";
import { forwarding, openTestPort } from "../testing/test-port.ts";

const path = "/shop.common.v1.DeadLetterService/ListDeadLetters";
const text = { "content-type": "application/grpc-web-text" };

const routes = (router: ConnectRouter) =>
  void router.service(DeadLetterService, {
    listDeadLetters({ pageToken }) {
      if (pageToken === "fails") throw new ConnectError("it fails – so", Code.FailedPrecondition);
      return { nextPageToken: `after ${pageToken}` };
    },
  });

const ports = {
  "in one process": async () => (await openTestPort({ hosted: () => routes })).port,
  "in one process, without the fast path": async () =>
    (await openTestPort({ hosted: () => routes, fastPath: false })).port,
  forwarded: async () => {
    const { port } = await openTestPort({ hosted: () => routes, isPublic: false });
    return (await openTestPort(forwarding(`http://127.0.0.1:${port}`))).port;
  },
};

interface Answer {
  readonly status: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
  /** As received. */
  readonly body: string;
}

/** Sends a body in these pieces, each in its own write. */
async function ask1(port: number, pieces: readonly string[], headers: http.OutgoingHttpHeaders = text, to = path) {
  const request = http.request({ host: "127.0.0.1", port, method: "POST", path: to, headers, agent: false });
  for (const piece of pieces) await new Promise((resolve) => request.write(piece, resolve));
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const body = Buffer.concat(await response.toArray()).toString("latin1");
  return { status: response.statusCode, headers: response.headers, body } satisfies Answer;
}

async function ask2(port: number, pieces: readonly string[], headers: http2.OutgoingHttpHeaders = text, to = path) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":method": "POST", ":path": to, ...headers });
  for (const piece of pieces) await new Promise((resolve) => stream.write(piece, resolve));
  stream.end();
  const [response] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  const body = Buffer.concat(await stream.toArray()).toString("latin1");
  session.close();
  return { status: response[":status"], headers: response, body } satisfies Answer;
}

const asks = { "HTTP/1.1": ask1, "HTTP/2": ask2 };

function requestOf(pageToken: string): Buffer {
  const message = create(ListDeadLettersRequestSchema, { pageToken });
  return Buffer.from(encodeEnvelope(0, toBinary(ListDeadLettersRequestSchema, message)));
}

/** The messages of an answer, and its trailers as text. */
function framesOf({ body }: Answer): { messages: Buffer[]; trailers: string } {
  // Every piece has its own padding.
  let bytes = Buffer.concat((body.match(/.{4}/g) ?? []).map((quad) => Buffer.from(quad, "base64")));
  const messages: Buffer[] = [];
  while (bytes.byteLength > 0) {
    const [flags, length] = [bytes[0]!, bytes.readUInt32BE(1)];
    const content = bytes.subarray(5, 5 + length);
    if ((flags & 0x80) !== 0) return { messages, trailers: content.toString() };
    messages.push(content);
    bytes = bytes.subarray(5 + length);
  }
  return { messages, trailers: "" };
}

function tokenIn(answer: Answer): string {
  const [message] = framesOf(answer).messages;
  return fromBinary(ListDeadLettersResponseSchema, message!).nextPageToken;
}

describe.each(Object.entries(ports))("%s", (_where, open) => {
  describe.each(Object.entries(asks))("over %s", (_version, ask) => {
    test("a call in text mode is answered in text mode", async () => {
      const port = await open();
      for (const type of [
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
        "Application/gRPC-Web-Text",
      ]) {
        const answer = await ask(port, [requestOf("one").toString("base64")], { "content-type": type });
        expect([answer.status, answer.headers["content-type"]]).toEqual([200, "application/grpc-web-text+proto"]);
        expect(tokenIn(answer)).toBe("after one");
        expect(framesOf(answer).trailers).toMatch(/^grpc-status: 0\r\n/);
      }
    });

    test("an answer with JSON messages has a text content type as well", async () => {
      const port = await open();
      const body = Buffer.from(encodeEnvelope(0, Buffer.from('{"pageToken": "one"}'))).toString("base64");
      const answer = await ask(port, [body], { "content-type": "application/grpc-web-text+json" });
      expect(answer.headers["content-type"]).toBe("application/grpc-web-text+json");
      const { messages, trailers } = framesOf(answer);
      expect(JSON.parse(messages.join())).toEqual({ nextPageToken: "after one" });
      expect(trailers).toMatch(/^grpc-status: 0\r\n/);
    });

    test("the text may be split anywhere, and any piece may be padded", async () => {
      const port = await open();
      const bytes = requestOf("some token");
      const whole = bytes.toString("base64");
      const cuts = [
        [...whole],
        [whole.slice(0, 1), whole.slice(1, 6), whole.slice(6)],
        [bytes.subarray(0, 5).toString("base64"), bytes.subarray(5).toString("base64")],
        [[...bytes].map((byte) => Buffer.of(byte).toString("base64")).join("")],
        [whole.replace(/=+$/, "")],
        ["", whole, ""],
      ];
      for (const pieces of cuts) expect(tokenIn(await ask(port, pieces))).toBe("after some token");
    });

    test("errors are the same as in binary mode, also for invalid base64 and invalid messages", async () => {
      const port = await open();
      const statusOf = async (...pieces: string[]) => {
        const answer = await ask(port, pieces);
        expect(answer.headers["content-type"]).toMatch(/^application\/grpc-web-text/);
        const { trailers } = framesOf(answer);
        return Number(/^grpc-status: (\d+)/m.exec(trailers)?.[1] ?? answer.headers["grpc-status"]);
      };
      const whole = requestOf("one").toString("base64");
      expect(await statusOf(requestOf("fails").toString("base64"))).toBe(Code.FailedPrecondition);
      for (const pieces of [["****"], [`${whole}****`], [whole.slice(0, -3)], ["A"], ["AA=A"], ["===="], [`${whole}!`]])
        expect(await statusOf(...pieces)).not.toBe(0);
      expect(await statusOf()).not.toBe(0);
    });

    test("Accept decides the mode of the answer only", async () => {
      const port = await open();
      const whole = requestOf("one");
      const binary = await ask(port, [whole.toString("base64")], { ...text, accept: "application/grpc-web+proto" });
      expect(binary.headers["content-type"]).toBe("application/grpc-web+proto");
      for (const accept of ["*/*", "application/grpc-web-text", "application/json, application/grpc-web-text;q=0.9"])
        expect(tokenIn(await ask(port, [whole.toString("base64")], { ...text, accept }))).toBe("after one");
    });

    test("each message of a stream is sent at once", async () => {
      const port = await open();
      const message = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, {}));
      const body = Buffer.from(encodeEnvelope(0, message)).toString("base64");
      const to = `/${Health.typeName}/Watch`;
      const first = await firstPiece(port, body, to);
      expect(first).toMatch(/^[\w+/]+={0,2}$/);
      expect(first.length % 4).toBe(0);
    });
  });
});

/** The first piece of a stream that does not end. */
async function firstPiece(port: number, body: string, to: string): Promise<string> {
  const request = http.request({ host: "127.0.0.1", port, method: "POST", path: to, headers: text, agent: false });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const [piece] = (await once(response, "data")) as [Buffer];
  request.destroy();
  return piece.toString("latin1");
}
