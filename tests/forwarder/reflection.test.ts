import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runGrpcurl as ask, describeGrpcurl, output } from "../setup/grpcurl.ts";
import { compileNotes, type NativeGrpcService, startNativeGrpcService } from "./native-grpc-service.ts";
import { type Program, startProgram } from "./program.ts";

const scratch = mkdtempSync(join(tmpdir(), "shop-forwarder-"));
const descriptorSet = join(scratch, "notes.binpb");
const notes = compileNotes(descriptorSet);
const buf = join(import.meta.dirname, "../../node_modules/.bin/buf");

let service: NativeGrpcService;
let program: Program;
let address: string;
beforeAll(async () => {
  service = await startNativeGrpcService(notes);
  program = await start({});
  address = new URL(program.url).host;
});
afterAll(async () => {
  program.process.kill("SIGTERM");
  await program.exited;
  service.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const start = (variables: Readonly<Record<string, string>>) =>
  startProgram({
    UPSTREAM_URL: `http://127.0.0.1:${service.port}`,
    DESCRIPTOR_SET: descriptorSet,
    SERVICES: notes.typeName,
    ...variables,
  });

describeGrpcurl("grpcurl, with no schema but reflection,", () => {
  test("lists services and methods", async () => {
    expect((await ask(address, "list")).split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "notes.v1.NoteService",
    ]);
    expect((await ask(address, "list", "notes.v1.NoteService")).split("\n")).toContain("notes.v1.NoteService.GetNote");
  });

  test("describes services, with their routes, and messages", async () => {
    const described = await ask(address, "describe", "notes.v1.NoteService");
    expect(described).toContain('option (.google.api.http) = { get: "/v1/{name=notes/*}" };');
    expect(await ask(address, "describe", "notes.v1.Note")).toContain("int64 deadline_ms = 4;");
  });

  test("calls", async () => {
    const called = await ask("-d", '{"name":"notes/7"}', address, "notes.v1.NoteService/GetNote");
    expect(JSON.parse(called)).toMatchObject({ name: "notes/7", text: "read me" });
    await expect(ask("-d", '{"name":"notes/none"}', address, "notes.v1.NoteService/GetNote")).rejects.toThrow(
      "NotFound",
    );
  });

  test("checks the health of the port and of a service", async () => {
    expect(JSON.parse(await ask(address, "grpc.health.v1.Health/Check"))).toEqual({ status: "SERVING" });
    const check = (name: string) => ask("-d", `{"service":"${name}"}`, address, "grpc.health.v1.Health/Check");
    expect(JSON.parse(await check(notes.typeName))).toEqual({ status: "SERVING" });
    await expect(check("notes.v1.Nothing")).rejects.toThrow("NotFound");
    expect(Object.keys(JSON.parse(await ask(address, "grpc.health.v1.Health/List")).statuses).toSorted()).toEqual([
      "",
      "notes.v1.NoteService",
    ]);
  });

  test("watches the health of a service that goes away", async () => {
    const lost = await startNativeGrpcService(notes);
    const watched = await start({ UPSTREAM_URL: `http://127.0.0.1:${lost.port}` });
    const seen = ask("-max-time", "4", new URL(watched.url).host, "grpc.health.v1.Health/Watch").catch(
      ({ stdout }: { stdout: string }) => stdout,
    );
    setTimeout(() => lost.stop(), 1_000);
    expect((await seen).match(/"status": "\w+"/g)).toEqual(['"status": "SERVING"', '"status": "NOT_SERVING"']);
    watched.process.kill("SIGTERM");
    expect(await watched.exited).toBe(0);
  });

  test("gets no schema when reflection is off", async () => {
    const silent = await start({ REFLECTION: "false" });
    await expect(ask(new URL(silent.url).host, "list")).rejects.toThrow("does not support the reflection API");
    silent.process.kill("SIGTERM");
    await silent.exited;
  });
});

test.each(["connect", "grpc", "grpcweb"])("buf curl calls over %s, with no schema but reflection", async (protocol) => {
  const url = `${program.url}/notes.v1.NoteService/GetNote`;
  const args = ["curl", "--protocol", protocol, "--http2-prior-knowledge", "-d", '{"name":"notes/7"}', url];
  expect(JSON.parse(await output(buf, ...args))).toMatchObject({ name: "notes/7", text: "read me" });
});
