import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { create, createRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createLogger } from "@shop/core";
import { forwardTo } from "@shop/proxy";
import { listen } from "@shop/rpc-server";
import { conformance } from "./conformance-service.ts";
import {
  ServerCompatRequestSchema,
  ServerCompatResponseSchema,
} from "./gen/connectrpc/conformance/v1/server_compat_pb.ts";
import {
  ConformanceService,
  file_connectrpc_conformance_v1_service,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

// The server under test. The suite's runner starts it, sends a request on standard input and reads the response on standard
// output. The service is on a port of the platform; `fallback` disables its fast path. With `gateway` the response names
// the port of a forwarder in front of it, which calls it over HTTP; with `multiplexed` that of a port of the platform in front of
// it, which carries unary calls on a multiplexed connection.

const [how, descriptorSet] = process.argv.slice(2);
const { messageReceiveLimit } = fromBinary(ServerCompatRequestSchema, readFileSync(process.stdin.fd).subarray(4));
const service = await startService();
const forwarder = how === "gateway" ? startForwarder(service.port) : undefined;
process.once("SIGTERM", stop);
const port = await publicPort();
writeDelimited(toBinary(ServerCompatResponseSchema, create(ServerCompatResponseSchema, { host: "127.0.0.1", port })));

async function publicPort(): Promise<number> {
  if (forwarder !== undefined) return await portOf(forwarder);
  return how === "multiplexed" ? (await startPortBefore(service.port)).port : service.port;
}

async function startService() {
  return await listen({
    ...common(),
    hosted: () => (router) => router.service(ConformanceService, conformance),
    reflection: true,
    fastPath: how !== "fallback",
  });
}

/** A port that forwards to the service of the platform on another port. */
async function startPortBefore(servicePort: number) {
  const urls = [`http://127.0.0.1:${servicePort}`];
  const upstreams = [{ name: "conformance", service: ConformanceService, urls }];
  return await listen({ ...common(), hosted: () => undefined, forwarding: forwardTo({ upstreams }) });
}

function common() {
  return {
    name: "conformance",
    services: [ConformanceService],
    routerOptions: {
      interceptors: [],
      readMaxBytes: messageReceiveLimit || 0xffffffff,
      jsonOptions: { registry: createRegistry(file_connectrpc_conformance_v1_service) },
    },
    authorize: async () => ({ kind: "anonymous" }),
    log: createLogger("silent"),
  };
}

/** The forwarder, started as a user would. */
function startForwarder(servicePort: number): ChildProcess {
  return spawn(process.execPath, [join(import.meta.dirname, "../../gateway/src/forward.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      LISTEN_PORT: "0",
      UPSTREAM_URL: `http://127.0.0.1:${servicePort}`,
      DESCRIPTOR_SET: descriptorSet,
      SERVICES: ConformanceService.typeName,
      READ_MAX_BYTES: messageReceiveLimit === 0 ? "" : String(messageReceiveLimit),
    },
  });
}

async function portOf({ stdout }: ChildProcess): Promise<number> {
  const lines = createInterface({ input: stdout! });
  for await (const line of lines) {
    const { msg, port: ready } = JSON.parse(line) as { msg: string; port?: number };
    if (msg !== "ready" || ready === undefined) continue;
    // An unread pipe would block the forwarder.
    stdout!.resume();
    return ready;
  }
  throw new Error("the forwarder did not start");
}

async function stop(): Promise<void> {
  if (forwarder !== undefined && forwarder.exitCode === null) {
    forwarder.kill("SIGTERM");
    await once(forwarder, "exit");
  }
  process.exit();
}

function writeDelimited(message: Uint8Array): void {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(message.byteLength);
  process.stdout.write(Buffer.concat([size, message]));
}
