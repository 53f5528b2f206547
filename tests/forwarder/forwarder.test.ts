import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonValue,
  type Message,
  toJson,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { createGrpcWebTransport as createGrpcWebTransportOfFetch } from "@connectrpc/connect-web";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { fetchAsText } from "../e2e/grpc-web-text.ts";
import { compileNotes, type NativeGrpcService, startNativeGrpcService } from "./native-grpc-service.ts";
import { type Program, startProgram } from "./program.ts";

const scratch = mkdtempSync(join(tmpdir(), "shop-forwarder-"));
const descriptorSet = join(scratch, "notes.binpb");
const notes = compileNotes(descriptorSet);
const method = notes.method as Record<"getNote" | "createNote" | "followNotes" | "addNotes" | "discuss", DescMethod>;

let service: NativeGrpcService;
let program: Program;
const variables = () => ({
  UPSTREAM_URL: `http://127.0.0.1:${service.port}`,
  DESCRIPTOR_SET: descriptorSet,
  SERVICES: notes.typeName,
  READ_MAX_BYTES: "10000",
});

beforeAll(async () => {
  service = await startNativeGrpcService(notes);
  program = await startProgram(variables());
});
afterAll(async () => {
  program.process.kill("SIGTERM");
  expect(await program.exited).toBe(0);
  service.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  "Connect in JSON over HTTP/1.1": (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  "Connect in binary over HTTP/2": (baseUrl) =>
    createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: true }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web over HTTP/1.1": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  "gRPC-Web in text": (baseUrl) => createGrpcWebTransportOfFetch({ baseUrl, fetch: fetchAsText }),
};

describe.each(Object.entries(transports))("in front of a native gRPC server, in %s", (name, open) => {
  const transport = () => open(program.url);
  const call = async (of: DescMethod, request: JsonValue, timeoutMs?: number, headers?: Record<string, string>) => {
    const input = fromJson(of.input, request);
    const { message, ...rest } = await transport().unary(of as DescMethodUnary, undefined, timeoutMs, headers, input);
    return { ...rest, message: toJson(of.output, message) as Record<string, JsonValue> };
  };
  const failure = async (request: JsonValue, timeoutMs?: number) =>
    ConnectError.from(await call(method.getNote, request, timeoutMs).catch((thrown) => thrown));
  const stream = async (of: DescMethod, messages: AsyncIterable<Message>, signal?: AbortSignal) =>
    (await transport().stream(of as DescMethodStreaming, signal, undefined, undefined, messages)).message;

  test("a call, its headers, its response and the trailers are forwarded", async () => {
    const { message, header, trailer } = await call(method.getNote, { name: "notes/7" }, undefined, { author: "me" });
    expect(message).toEqual({ name: "notes/7", text: "read me", author: "me" });
    expect(header.get("x-note-header")).toBe("told first");
    expect(trailer.get("x-note-trailer")).toBe("told last");
  });

  test("an error is forwarded with its message and details", async () => {
    const error = await failure({ name: "notes/none" });
    expect([error.code, error.rawMessage]).toEqual([Code.NotFound, 'there is no notes/none – "nowhere"']);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("NOTE_MISSING");
  });

  test("the service gets the deadline, and is cancelled when it has passed", async () => {
    const { message } = await call(method.getNote, { name: "notes/7" }, 20_000);
    expect(Number(message.deadlineMs)).toBeGreaterThan(10_000);
    expect(Number(message.deadlineMs)).toBeLessThanOrEqual(20_000);
    const before = service.left();
    expect((await failure({ name: "notes/slow" }, 300)).code).toBe(Code.DeadlineExceeded);
    await vi.waitFor(() => expect(service.left()).toBe(before + 1), { timeout: 5_000 });
  });

  test("a stream is forwarded message by message, and the service is cancelled when its caller leaves", async () => {
    const before = service.left();
    const leave = new AbortController();
    const seen: JsonValue[] = [];
    const answers = await stream(method.followNotes, one(fromJson(method.followNotes.input, {})), leave.signal);
    await expect(async () => {
      for await (const note of answers) {
        seen.push(toJson(method.followNotes.output, note));
        if (seen.length === 2) leave.abort();
      }
    }).rejects.toThrow();
    expect(seen).toEqual([{ name: "notes/1" }, { name: "notes/2" }]);
    await vi.waitFor(() => expect(service.left()).toBe(before + 1), { timeout: 5_000 });
  });

  // fetch can't stream requests.
  if (name !== "gRPC-Web in text")
    test("a stream of requests gets one response", async () => {
      const request = fromJson(method.addNotes.input, { note: { text: "one" } });
      const answers = await stream(
        method.addNotes,
        (async function* () {
          for (let count = 0; count < 3; count++) yield request;
        })(),
      );
      expect((await Array.fromAsync(answers)).map((answer) => toJson(method.addNotes.output, answer))).toEqual([
        { count: 3 },
      ]);
    });

  // HTTP/1.1 clients read no response before the request has ended.
  if (!name.endsWith("HTTP/1.1") && name !== "gRPC-Web in text")
    test("both sides of a bidirectional stream send in turn", async () => {
      const { input, output } = method.discuss;
      const { promise: received, resolve: goOn } = Promise.withResolvers<void>();
      const answers = await stream(
        method.discuss,
        (async function* () {
          yield fromJson(input, { text: "one" });
          await received;
          yield fromJson(input, { text: "two" });
        })(),
      );
      const iterator = answers[Symbol.asyncIterator]();
      expect(toJson(output, (await iterator.next()).value)).toEqual({ text: "one", author: "an echo" });
      goOn();
      expect(toJson(output, (await iterator.next()).value)).toEqual({ text: "two", author: "an echo" });
      expect((await iterator.next()).done).toBe(true);
    });

  test("a message that is too large is refused", async () => {
    const error = await call(method.createNote, { note: { text: "x".repeat(20_000) } }).catch((thrown) => thrown);
    expect(ConnectError.from(error).code).toBe(Code.ResourceExhausted);
  });
});

describe("REST, by the annotations of a service that serves gRPC only", () => {
  const send = async (path: string, init?: RequestInit) => {
    const answer = await fetch(program.url + path, init);
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
  };

  test("maps path, body, headers and trailers", async () => {
    const read = await send("/v1/notes/7", { headers: { author: "me" } });
    expect([read.status, read.body]).toEqual([
      200,
      { name: "notes/7", text: "read me", author: "me", deadline_ms: "0" },
    ]);
    expect(read.headers.get("x-note-header")).toBe("told first");
    expect(read.headers.get("trailer-x-note-trailer")).toBe("told last");
    const made = await send("/v1/notes", { method: "POST", body: '{"text":"new"}', headers: json });
    expect([made.status, made.body]).toMatchObject([200, { name: "notes/new", text: "new" }]);
  });

  test("maps errors to google.rpc.Status, with their details", async () => {
    const { status, body } = await send("/v1/notes/none");
    expect(status).toBe(404);
    expect(body).toMatchObject({
      code: 5,
      message: 'there is no notes/none – "nowhere"',
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "NOTE_MISSING" }],
    });
  });

  test("refuses an invalid request without calling the service", async () => {
    expect((await send("/v1/notes", { method: "POST", body: '{"nonsense":1}', headers: json })).status).toBe(400);
    expect((await send("/v1/nowhere")).status).toBe(404);
    expect((await send("/v1/notes/7", { method: "DELETE" })).status).toBe(405);
    const long = JSON.stringify({ text: "x".repeat(20_000) });
    expect((await send("/v1/notes", { method: "POST", body: long, headers: json })).status).toBe(413);
  });

  test("forwards the deadline", async () => {
    const { status, body } = await send("/v1/notes/slow", { headers: { "connect-timeout-ms": "300" } });
    expect([status, body.code]).toEqual([504, Code.DeadlineExceeded]);
  });

  test("streams, until its caller leaves", async () => {
    const before = service.left();
    const leave = new AbortController();
    const answer = await fetch(`${program.url}/v1/notes:follow`, { signal: leave.signal });
    let text = "";
    for await (const chunk of answer.body!) {
      text += Buffer.from(chunk).toString();
      if (text.split("\n").length > 2) break;
    }
    expect(
      text
        .split("\n")
        .slice(0, 2)
        .map((line) => JSON.parse(line).name),
    ).toEqual(["notes/1", "notes/2"]);
    leave.abort();
    await vi.waitFor(() => expect(service.left()).toBe(before + 1), { timeout: 5_000 });
  });
});

describe("the program", () => {
  test("reports all invalid settings at once, and exits with 1", async () => {
    const bad = {
      LISTEN_PORT: "http",
      UPSTREAM_URL: "https://notes.example/v1",
      SERVICES: "notes.v1.Nothing",
      READ_MAX_BYTES: "0",
    };
    const message = await startProgram({ ...variables(), ...bad }).then(
      () => "started",
      (error: Error) => error.message,
    );
    expect(message).toMatch(/^exit code 1\n/);
    for (const name of Object.keys(bad)) expect(message).toContain(`\n${name} (`);
    expect(message).toMatch(/it has .*notes\.v1\.NoteService/);
    const file = { ...variables(), DESCRIPTOR_SET: import.meta.filename };
    expect(await startProgram(file).catch(String)).toContain("DESCRIPTOR_SET (");
  });

  test("answers REST in the configured JSON names, error details and streams included", async () => {
    const camel = await startProgram({ ...variables(), JSON_NAMES: "lowerCamelCase" });
    const read = async (path: string) => (await (await fetch(camel.url + path)).json()) as Record<string, JsonValue>;
    expect(await read("/v1/notes/7")).toEqual({ name: "notes/7", text: "read me", author: "", deadlineMs: "0" });
    expect(await read("/v1/notes/7?nonsense=1")).toMatchObject({
      details: [{ fieldViolations: [{ field: "nonsense" }] }],
    });
    const leave = new AbortController();
    const { body } = await fetch(`${camel.url}/v1/notes:follow`, { signal: leave.signal });
    const first = await body!.getReader().read();
    expect(JSON.parse(Buffer.from(first.value!).toString().split("\n")[0]!)).toHaveProperty("deadlineMs");
    leave.abort();
    camel.process.kill("SIGTERM");
    expect(await camel.exited).toBe(0);
    const strange = startProgram({ ...variables(), JSON_NAMES: "snake" });
    expect(await strange.catch(String)).toContain("JSON_NAMES (");
  });

  test("drains on SIGTERM: calls in progress end, new ones are refused, and it exits with 0", async () => {
    const draining = await startProgram(variables());
    const open = createGrpcTransport({ baseUrl: draining.url });
    const input = fromJson(method.getNote.input, { name: "notes/slow" });
    const before = service.left();
    const askedBefore = service.asked();
    const running = open.unary(method.getNote as DescMethodUnary, undefined, 1_500, undefined, input);
    const outcome = running.catch((thrown) => ConnectError.from(thrown).code);
    await vi.waitFor(() => expect(service.asked()).toBe(askedBefore + 1), { timeout: 5_000 });
    draining.process.kill("SIGTERM");
    await vi.waitFor(() => expect(draining.output()).toContain("draining"), { timeout: 5_000 });
    await expect(fetch(`${draining.url}/healthz`)).rejects.toThrow();
    // It completed, and was not broken off.
    expect(await outcome).toBe(Code.DeadlineExceeded);
    expect(await draining.exited).toBe(0);
    expect(service.left()).toBe(before + 1);
  });

  test("is not ready, and answers UNAVAILABLE without addresses, while no upstream is reachable", async () => {
    const lost = await startNativeGrpcService(notes);
    const alone = await startProgram({ ...variables(), UPSTREAM_URL: `http://127.0.0.1:${lost.port}` });
    expect((await fetch(`${alone.url}/readyz`)).status).toBe(200);
    lost.stop();
    expect((await fetch(`${alone.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${alone.url}/healthz`)).status).toBe(200);
    const answer = await fetch(`${alone.url}/v1/notes/7`);
    expect([answer.status, await answer.json()]).toMatchObject([503, { message: "the service cannot be reached" }]);
    for (const open of Object.values(transports)) {
      const input = fromJson(method.getNote.input, { name: "notes/7" });
      const error = await open(alone.url)
        .unary(method.getNote as DescMethodUnary, undefined, undefined, undefined, input)
        .catch(ConnectError.from);
      expect(error).toMatchObject({ code: Code.Unavailable, rawMessage: "the service cannot be reached" });
    }
    alone.process.kill("SIGTERM");
    expect(await alone.exited).toBe(0);
  });
});

const json = { "content-type": "application/json" };

async function* one<Value>(value: Value): AsyncIterable<Value> {
  yield value;
}
