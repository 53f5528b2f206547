import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  create,
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromBinary,
  fromJson,
  type JsonObject,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { anyPack, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  status,
} from "@grpc/grpc-js";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { StatusSchema } from "@shop/gen/google/rpc/status_pb";

const root = join(import.meta.dirname, "../..");

/** Compiles notes.proto, with what it imports, into a file; answers its service. */
export function compileNotes(file: string): DescService {
  const config = { version: "v2", modules: [{ path: "tests/forwarder/proto" }, { path: "vendor/proto" }] };
  const args = ["build", "--config", JSON.stringify(config), "--output", file];
  execFileSync("node_modules/.bin/buf", args, { cwd: root });
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
  return registry.getService("notes.v1.NoteService")!;
}

export interface NativeGrpcService {
  readonly port: number;
  /** The number of received calls of GetNote. */
  asked(): number;
  /** The number of its streams that callers have cancelled. */
  left(): number;
  stop(): void;
}

/** A native gRPC server, without Connect and REST. */
export async function startNativeGrpcService(service: DescService): Promise<NativeGrpcService> {
  let asked = 0;
  let left = 0;
  const getNote: handleUnaryCall<JsonObject, JsonObject> = (call, answer) => {
    asked++;
    const trailers = new Metadata();
    trailers.set("x-note-trailer", "told last");
    const head = new Metadata();
    head.set("x-note-header", "told first");
    call.sendMetadata(head);
    call.once("cancelled", () => left++);
    const name = String(call.request.name);
    if (name === "notes/slow") return;
    if (name === "notes/none") {
      answer(missing(name));
      return;
    }
    const deadline = call.getDeadline();
    const deadlineMs = Number.isFinite(Number(deadline)) ? Number(deadline) - Date.now() : 0;
    const author = String(call.metadata.get("author")[0] ?? "");
    answer(null, { name, text: "read me", author, deadlineMs: String(Math.round(deadlineMs)) }, trailers);
  };
  const createNote: handleUnaryCall<JsonObject, JsonObject> = (call, answer) =>
    answer(null, { ...(call.request.note as JsonObject), name: "notes/new" });
  const followNotes: handleServerStreamingCall<JsonObject, JsonObject> = (call) => {
    call.once("cancelled", () => left++);
    call.write({ name: "notes/1" });
    call.write({ name: "notes/2" });
  };
  const addNotes: handleClientStreamingCall<JsonObject, JsonObject> = (call, answer) => {
    let count = 0;
    call.on("data", () => count++).once("end", () => answer(null, { count }));
  };
  const discuss: handleBidiStreamingCall<JsonObject, JsonObject> = (call) => {
    call.on("data", (note: JsonObject) => call.write({ ...note, author: "an echo" })).once("end", () => call.end());
  };

  const server = new Server();
  server.addService(definitionOf(service), { getNote, createNote, followNotes, addNotes, discuss });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, asked: () => asked, left: () => left, stop: () => server.forceShutdown() };
}

function missing(name: string) {
  const message = `there is no ${name} – "nowhere"`;
  const info = create(ErrorInfoSchema, { reason: "NOTE_MISSING", domain: "notes.example" });
  const details = create(StatusSchema, { code: 5, message, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, details)));
  return { code: status.NOT_FOUND, details: message, metadata };
}

/** Messages are JSON objects; only protobuf's encoding is used. */
function definitionOf(service: DescService) {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodOf(method)]));
}

function methodOf(method: DescMethod) {
  const { input, output, methodKind } = method;
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: /^(client|bidi)/.test(methodKind),
    responseStream: /^(server|bidi)/.test(methodKind),
    requestSerialize: (json: JsonObject) => Buffer.from(toBinary(input, fromJson(input, json))),
    requestDeserialize: (bytes: Buffer) => toJson(input, fromBinary(input, bytes)) as JsonObject,
    responseSerialize: (json: JsonObject) => Buffer.from(toBinary(output, fromJson(output, json))),
    responseDeserialize: (bytes: Buffer) => toJson(output, fromBinary(output, bytes)) as JsonObject,
  };
}
