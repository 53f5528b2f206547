import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { createTraceStore, type TraceStore } from "./trace-store.ts";

export type { StoredSpan } from "./trace-store.ts";

/** A receiver of traces, and the page that shows them. */
export interface TraceServer {
  /** Of the page; also the OTLP endpoint. */
  readonly url: string;
  readonly store: TraceStore;
  close(): Promise<void>;
}

const host = "127.0.0.1";
const maxBodyBytes = 16 * 1024 * 1024;
const listed = 500;

const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const pages: Readonly<Record<string, readonly [file: string, contentType: string]>> = {
  "/": ["page.html", "text/html"],
  "/page.js": ["page.js", "text/javascript"],
  "/page.css": ["page.css", "text/css"],
};

/**
 * Receives traces by OTLP over HTTP in JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp) on a port of this machine only,
 * keeps the most recent ones in memory, and serves a page that shows them.
 *
 * @param port 0 for any free port
 */
export async function serveTraces(port: number): Promise<TraceServer> {
  const store = createTraceStore();
  const server = createServer((request, response) => {
    // A page of another site could reach this port by a name that resolves to it.
    if (!isLocal(request.headers.host)) return void response.writeHead(421).end();
    const { pathname } = new URL(request.url ?? "/", `http://${host}`);
    if (request.method === "POST" && pathname === "/v1/traces") return void receive(request, response, store);
    if (request.method !== "GET") return void response.writeHead(405).end();
    show(pathname, response, store);
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    store,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function isLocal(authority: string | undefined): boolean {
  return /^(127\.0\.0\.1|localhost)(:\d+)?$/.test(authority ?? "");
}

async function receive(request: IncomingMessage, response: ServerResponse, store: TraceStore): Promise<void> {
  const answer = (status: number, body: object) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  try {
    const { "content-type": type = "", "content-encoding": encoding } = request.headers;
    if (!/^application\/json\b/.test(type)) return void answer(415, { message: "only JSON is read" });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.byteLength;
      if (bytes > maxBodyBytes) return void answer(413, { message: `a request has ${maxBodyBytes} bytes at most` });
      chunks.push(chunk);
    }
    const body = Buffer.concat(chunks);
    const json = encoding === "gzip" ? gunzipSync(body, { maxOutputLength: maxBodyBytes }) : body;
    store.add(JSON.parse(json.toString()));
    answer(200, {});
  } catch (error) {
    answer(400, { message: String(error) });
  }
}

function show(path: string, response: ServerResponse, store: TraceStore): void {
  const [, traceId] = /^\/traces\/([0-9a-f]{32})$/.exec(path) ?? [];
  const page = pages[path];
  if (page !== undefined) {
    const [file, type] = page;
    const headers = { "content-type": `${type}; charset=utf-8`, "content-security-policy": pagePolicy };
    response.writeHead(200, headers).end(readFileSync(join(import.meta.dirname, "page", file)));
    return;
  }
  // Browsers ask for it.
  if (path === "/favicon.ico") return void response.writeHead(204).end();
  const data = path === "/traces" ? store.list(listed) : traceId && store.find(traceId);
  if (!data) return void response.writeHead(404).end();
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(data));
}
