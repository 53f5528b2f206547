import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { create, type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";

const run = promisify(execFile);

export interface ToolRequest {
  readonly method: "GET" | "POST" | "PATCH";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export function post(path: string, contentType: string, body: Uint8Array): ToolRequest {
  return { method: "POST", path, headers: { "content-type": contentType }, body };
}

/** The requests, sent round-robin; h2load sends only the first. */
export interface ToolLoad {
  /** Of the server. */
  readonly url: string;
  readonly requests: readonly [ToolRequest, ...ToolRequest[]];
  readonly connections: number;
  readonly seconds: number;
}

export interface ToolResult {
  readonly perSecond: number;
  readonly failed: number;
}

/** Reports missing load tools, and how to install them. */
export function checkLoadTools(): void {
  for (const tool of ["wrk", "h2load"])
    if (!isInstalled(tool)) throw new Error(`${tool} is not installed: apt-get install wrk nghttp2-client`);
}

export function isInstalled(tool: string): boolean {
  try {
    execFileSync("which", [tool], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Over HTTP/1.1, by wrk. */
export async function wrk({ url, requests, connections, seconds }: ToolLoad): Promise<ToolResult & { p99Ms: number }> {
  return await withFolder(async (folder) => {
    const script = join(folder, "requests.lua");
    writeFileSync(script, scriptOf(requests));
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "-s", script, url];
    const { stdout } = await run("wrk", args);
    const failures = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1];
    const lost = [.../(?:connect|read|write|timeout) (\d+)/g[Symbol.matchAll](stdout)].map(([, count]) =>
      Number(count),
    );
    const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)\n/.exec(stdout)!;
    return {
      perSecond: numberIn(stdout, /Requests\/sec:\s+([\d.]+)/),
      failed: lost.reduce((sum, count) => sum + count, Number(failures ?? 0)),
      p99Ms: Number(p99) * { us: 0.001, ms: 1, s: 1_000 }[unit as "us" | "ms" | "s"],
    };
  });
}

/** Builds the requests in advance, so that sending costs the same for all of them. */
function scriptOf(requests: readonly ToolRequest[]): string {
  const made = requests.map(({ method, path, headers, body }) => {
    const fields = Object.entries(headers).map(([name, value]) => `[${quoted(name)}] = ${quoted(value)}`);
    const text = body.byteLength === 0 ? "nil" : quoted(body);
    return `  wrk.format("${method}", ${quoted(path)}, { ${fields.join(", ")} }, ${text}),`;
  });
  // Once per thread, when the host is known.
  return [
    "local made, sent = nil, 0",
    "function init()",
    `made = {\n${made.join("\n")}\n}`,
    "end",
    "function request()",
    "  sent = sent + 1",
    "  return made[(sent - 1) % #made + 1]",
    "end",
  ].join("\n");
}

function quoted(text: string | Uint8Array): string {
  return `"${[...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, "0")}`).join("")}"`;
}

/** Over HTTP/2, by h2load: as many concurrent calls as connections over HTTP/1.1, on a few connections. */
export async function h2load(load: ToolLoad): Promise<ToolResult> {
  return await loadOverHttp2(load, streamsPerConnection);
}

/** Over HTTP/2, by h2load: a connection for each concurrent call. */
export async function h2loadManyConnections(load: ToolLoad): Promise<ToolResult> {
  return await loadOverHttp2(load, 1);
}

async function loadOverHttp2({ url, requests, connections, seconds }: ToolLoad, streams: number): Promise<ToolResult> {
  const [{ path, headers, body }] = requests;
  return await withFolder(async (folder) => {
    const file = join(folder, "body");
    writeFileSync(file, body);
    const clients = Math.max(1, Math.floor(connections / streams));
    const args = ["-c", String(clients), "-m", String(streams), "-D", String(seconds), "-d", file];
    for (const [name, value] of Object.entries(headers)) args.push("-H", `${name}: ${value}`);
    args.push("-H", "te: trailers", url + path);
    const { stdout } = await run("h2load", args);
    const done = numberIn(stdout, /status codes: (\d+) 2xx/);
    return { perSecond: done / seconds, failed: numberIn(stdout, /(\d+) failed/) };
  });
}

/** gRPC, by ghz: a client in Go that knows the messages. The body of the request is an envelope with one. */
export async function ghz({ url, requests, connections, seconds }: ToolLoad): Promise<ToolResult> {
  const [{ path, body }] = requests;
  return await withFolder(async (folder) => {
    const [protoset, message] = [join(folder, "protoset"), join(folder, "message")];
    const files = [...withDependencies(InventoryService.file)].map(({ proto }) => proto);
    writeFileSync(protoset, toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: files })));
    writeFileSync(message, body.subarray(envelopeBytes));
    const args = ["--insecure", "--protoset", protoset, "--call", path.slice(1), "--binary-file", message];
    args.push("--concurrency", String(connections), "--duration", `${seconds}s`, "--duration-stop", "wait");
    args.push("--connections", String(Math.max(1, Math.floor(connections / streamsPerConnection))));
    const { stdout } = await run("ghz", [...args, "--format", "json", new URL(url).host], { maxBuffer: 2 ** 30 });
    const { count, rps, statusCodeDistribution } = JSON.parse(stdout) as {
      count: number;
      rps: number;
      statusCodeDistribution: { OK?: number };
    };
    return { perSecond: rps, failed: count - (statusCodeDistribution.OK ?? 0) };
  });
}

const envelopeBytes = 5;

function withDependencies(file: DescFile, found = new Set<DescFile>()): Set<DescFile> {
  for (const dependency of file.dependencies) withDependencies(dependency, found);
  return found.add(file);
}

const streamsPerConnection = 8;

async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "shop-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`unexpected output of the load tool:\n${text}`);
  return Number(found);
}
