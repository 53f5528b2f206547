import * as http2 from "node:http2";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A request parsed by the strictest reading of RFC 9112. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export interface ReadRequests {
  readonly requests: readonly RecordedRequest[];
  /** The bytes after the last whole request: an incomplete one, or not HTTP. */
  readonly rest: string;
}

const requestLine = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/;
const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/;

/** Reads the requests of a connection in order, until one is incomplete or ambiguously framed. */
export function readRequests(bytes: string): ReadRequests {
  const requests: RecordedRequest[] = [];
  let rest = bytes;
  for (;;) {
    const read = readRequest(rest);
    if (read === undefined) return { requests, rest };
    requests.push(read.request);
    rest = read.rest;
  }
}

function readRequest(bytes: string): { readonly request: RecordedRequest; readonly rest: string } | undefined {
  // Empty lines before a request are ignored (RFC 9112 2.2).
  const start = /^(\r\n)*/.exec(bytes)![0].length;
  const end = bytes.indexOf("\r\n\r\n", start);
  if (end === -1) return undefined;
  const [line = "", ...lines] = bytes.slice(start, end).split("\r\n");
  const [, method, path] = requestLine.exec(line) ?? [];
  const headers = lines.map((text) => field.exec(text)?.slice(1) as [string, string] | undefined);
  if (method === undefined || path === undefined || headers.includes(undefined)) return undefined;
  const named = (wanted: string) => headers.filter((pair) => pair![0].toLowerCase() === wanted).map((pair) => pair![1]);
  const body = readBody(bytes.slice(end + 4), named("content-length"), named("transfer-encoding"));
  if (body === undefined) return undefined;
  return { request: { method, path, headers: headers as [string, string][], body: body.content }, rest: body.rest };
}

function readBody(bytes: string, lengths: readonly string[], codings: readonly string[]) {
  if (lengths.length + codings.length > 1) return undefined;
  if (codings.length === 1) return codings[0]!.toLowerCase() === "chunked" ? readChunks(bytes) : undefined;
  if (lengths.length === 1 && !/^\d{1,9}$/.test(lengths[0]!)) return undefined;
  const length = Number(lengths[0] ?? 0);
  return bytes.length < length ? undefined : { content: bytes.slice(0, length), rest: bytes.slice(length) };
}

function readChunks(bytes: string) {
  let content = "";
  for (let rest = bytes; ; ) {
    const [line, hex] = /^([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n/.exec(rest) ?? [];
    if (line === undefined) return undefined;
    const length = Number.parseInt(hex!, 16);
    rest = rest.slice(line.length);
    if (length === 0) {
      const [trailers] = /^(?:[^\r\n]+\r\n)*\r\n/.exec(rest) ?? [];
      return trailers === undefined ? undefined : { content, rest: rest.slice(trailers.length) };
    }
    if (rest.slice(length, length + 2) !== "\r\n" || rest.length < length + 2) return undefined;
    content += rest.slice(0, length);
    rest = rest.slice(length + 2);
  }
}

/** The raw HTTP/1.1 answer to a request, in latin1; 200 with `{"nextPageToken": path}` by default. */
export type Answering = (request: RecordedRequest, socket: Socket) => string;

/** An upstream that parses HTTP/1.1 itself and HTTP/2 by nghttp2, records every request, and echoes its path. */
export class RecordingUpstream {
  /** Requests of both versions, in order of arrival. */
  readonly requests: RecordedRequest[] = [];
  /** Bytes of HTTP/1.1 connections that did not form a whole request. */
  readonly strayBytes: string[] = [];
  /** HTTP/1.1 connections closed by either side. */
  closed = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  answering: Answering = ({ path }) => answerOf(JSON.stringify({ nextPageToken: path }));

  constructor() {
    const server = http2.createServer();
    server.on("stream", (stream, headers) => {
      let body = "";
      stream.setEncoding("latin1").on("data", (chunk: string) => {
        body += chunk;
      });
      stream
        .on("error", () => {})
        .on("end", () => {
          if (stream.rstCode !== 0) return;
          const path = headers[":path"]!;
          const fields = Object.entries(headers).map(([name, value]) => [name, String(value)] as const);
          this.requests.push({ method: headers[":method"]!, path, headers: fields, body });
          stream.respond({ ":status": 200, "content-type": "application/json" });
          stream.end(JSON.stringify({ nextPageToken: path }));
        });
    });
    server.on("session", (session) => session.on("error", () => {}));
    this.#server = createServer((socket) => {
      this.#sockets.add(socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket)));
      socket.once("readable", () => {
        const first: Buffer | null = socket.read();
        if (first === null) return;
        socket.unshift(first);
        if (first.toString("latin1").startsWith("PRI ")) server.emit("connection", socket);
        else this.#record(socket);
      });
    });
  }

  #record(socket: Socket): void {
    let bytes = "";
    socket.on("data", (chunk) => {
      bytes += chunk.toString("latin1");
      const { requests, rest } = readRequests(bytes);
      bytes = rest;
      for (const request of requests) {
        this.requests.push(request);
        const answer = this.answering(request, socket);
        if (answer !== "") socket.write(answer, "latin1");
      }
    });
    socket.once("close", () => {
      this.closed += 1;
      if (bytes !== "") this.strayBytes.push(bytes);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((listening) => this.#server.listen(0, "127.0.0.1", listening));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** A well-formed HTTP/1.1 answer. */
export function answerOf(body: string, status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}
