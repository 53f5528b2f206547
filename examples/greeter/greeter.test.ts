import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { create, createFileRegistry, type DescMethodUnary, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGreeter } from "./greeter.ts";

const folder = mkdtempSync(join(tmpdir(), "shop-greeter-"));
const descriptorSet = join(folder, "greeter.binpb");
const token = { authorization: "Bearer let me in" };
let app: FastifyInstance;
let url: string;

beforeAll(async () => {
  const root = resolve(import.meta.dirname, "../..");
  const modules = ["examples/greeter", "vendor/proto"].map((path) => ({ path }));
  const config = JSON.stringify({ version: "v2", modules });
  execFileSync("node_modules/.bin/buf", ["build", "--config", config, "-o", descriptorSet], { cwd: root });
  app = await startGreeter(descriptorSet, 0);
  url = app.listeningOrigin;
});
afterAll(async () => {
  await app?.close();
  rmSync(folder, { recursive: true });
});

const transports: Readonly<Record<string, (baseUrl: string) => Transport>> = {
  Connect: (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  gRPC: (baseUrl) => createGrpcTransport({ baseUrl }),
  "gRPC-Web": (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
};

test.each(Object.entries(transports))(
  "%s: a call with the token is answered, one without it and an invalid name are refused",
  async (_, open) => {
    const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)));
    const method = registry.getService("example.greeter.v1.GreeterService")!.method.greet as DescMethodUnary;
    const transport = open(url);
    const greet = async (name: string, headers: HeadersInit) => {
      const input = create(method.input, { name } as never);
      const { message } = await transport.unary(method, undefined, undefined, headers, input);
      return (message as unknown as { greeting: string }).greeting;
    };
    const codeOf = (call: Promise<unknown>) => call.then(String, (error) => ConnectError.from(error).code);
    expect(await greet("Ada", token)).toBe("Hello, Ada!");
    expect(await codeOf(greet("Ada", {}))).toBe(Code.Unauthenticated);
    expect(await codeOf(greet("A".repeat(51), token))).toBe(Code.InvalidArgument);
  },
);

test("REST: a call with the token is answered, one without it and an invalid name are refused", async () => {
  const greet = (name: string, headers: HeadersInit) => fetch(`${url}/v1/greetings/${name}`, { headers });
  expect(await (await greet("Ada", token)).json()).toEqual({ greeting: "Hello, Ada!" });
  expect((await greet("Ada", {})).status).toBe(401);
  expect((await greet("A".repeat(51), token)).status).toBe(400);
});

test("the port serves OpenAPI, reflection and health, and the application's own routes", async () => {
  const read = async (path: string) => await (await fetch(url + path)).json();
  expect(await read("/openapi.json")).toMatchObject({ paths: { "/v1/greetings/{name}": { get: {} } } });
  expect((await fetch(`${url}/docs`)).status).toBe(200);
  expect(await read("/about")).toEqual({ about: "an ordinary route" });
  expect(await read("/readyz")).toEqual({ status: "ready" });
  // Not execFileSync, since the server runs in this process.
  const { stdout } = await promisify(execFile)(resolve(import.meta.dirname, "../../node_modules/.bin/buf"), [
    "curl",
    "--protocol",
    "grpc",
    "--http2-prior-knowledge",
    "--list-methods",
    url,
  ]);
  expect(stdout).toContain("example.greeter.v1.GreeterService/Greet");
});

test("a page of an allowed origin may call", async () => {
  const headers = { ...token, origin: "https://greeter.example" };
  const answer = await fetch(`${url}/v1/greetings/Ada`, { headers });
  expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, "https://greeter.example"]);
});
