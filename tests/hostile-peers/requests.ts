import { endHeaders, endStream, frame, headerBlock } from "@shop/http-port/testing/http2-frames";

/** Paths of a port: a unary and a streaming method without their leading slash, and a REST route. */
export interface Paths {
  readonly unary: string;
  readonly stream: string;
  readonly rest: string;
  /** Sent with each request. */
  readonly authorization?: string;
}

interface RequestKind {
  readonly method: string;
  readonly path: (paths: Paths) => string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const envelope = "\0\0\0\0\x02{}";
const emptyEnvelope = "\0\0\0\0\0";

export const requestKinds = {
  "Connect unary": { method: "POST", path: ({ unary }) => `/${unary}`, headers: type("application/json"), body: "{}" },
  "Connect stream": {
    method: "POST",
    path: ({ stream }) => `/${stream}`,
    headers: type("application/connect+json"),
    body: envelope,
  },
  "Connect GET": { method: "GET", path: ({ unary }) => `/${unary}?connect=v1&encoding=json&message=%7B%7D` },
  gRPC: {
    method: "POST",
    path: ({ unary }) => `/${unary}`,
    headers: { ...type("application/grpc"), te: "trailers" },
    body: emptyEnvelope,
  },
  "gRPC stream": {
    method: "POST",
    path: ({ stream }) => `/${stream}`,
    headers: { ...type("application/grpc"), te: "trailers" },
    body: emptyEnvelope,
  },
  "gRPC-Web": {
    method: "POST",
    path: ({ unary }) => `/${unary}`,
    headers: type("application/grpc-web+proto"),
    body: emptyEnvelope,
  },
  REST: { method: "GET", path: ({ rest }) => rest },
  "REST with a body": { method: "POST", path: ({ rest }) => rest, headers: type("application/json"), body: "{}" },
  health: { method: "GET", path: () => "/readyz" },
  docs: { method: "GET", path: () => "/docs" },
  metrics: { method: "GET", path: () => "/metrics" },
  preflight: {
    method: "OPTIONS",
    path: ({ unary }) => `/${unary}`,
    headers: { origin: "http://web.example", "access-control-request-method": "POST" },
  },
  unknown: { method: "GET", path: () => "/nothing/at/all" },
  HEAD: { method: "HEAD", path: () => "/healthz" },
  CONNECT: { method: "CONNECT", path: () => "a:80" },
} as const satisfies Readonly<Record<string, RequestKind>>;

export const contentTypes = [
  "its own",
  "application/json",
  "application/proto",
  "application/grpc",
  "text/plain",
  "none",
];
export const expectations = ["none", "100-continue", "the impossible"];
/** How complete the body of a request is, and how it is framed over HTTP/1.1. */
export const bodies = ["whole", "unfinished", "chunked", "chunked and unfinished"];

export interface RequestChoice {
  readonly request: string;
  readonly contentType: string;
  readonly expect: string;
  readonly body: string;
}

/** Headers and body of a request. */
interface Parts {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isWhole: boolean;
}

function partsOf({ request, contentType, expect, body }: RequestChoice, paths: Paths): Parts {
  const kind: RequestKind = requestKinds[request as keyof typeof requestKinds];
  const headers: Record<string, string> = { ...kind.headers };
  if (paths.authorization !== undefined) headers.authorization = paths.authorization;
  if (contentType === "none") delete headers["content-type"];
  else if (contentType !== "its own") headers["content-type"] = contentType;
  if (expect !== "none") headers.expect = expect;
  const isWhole = !body.includes("unfinished");
  return { method: kind.method, path: kind.path(paths), headers, body: kind.body ?? "", isWhole };
}

/** One request over HTTP/1.1, as bytes. */
export function http1Request(choice: RequestChoice, paths: Paths): Buffer {
  const { method, path, headers, body, isWhole } = partsOf(choice, paths);
  const isChunked = choice.body.startsWith("chunked");
  const hasBody = body !== "" || !isWhole;
  const framing = isChunked ? "transfer-encoding: chunked" : `content-length: ${body.length + (isWhole ? 0 : 10)}`;
  const lines = Object.entries({ host: "a", ...headers }).map(([name, value]) => `${name}: ${value}`);
  const head = [`${method} ${path} HTTP/1.1`, ...lines, ...(hasBody ? [framing] : []), "", ""].join("\r\n");
  const sent = isChunked && hasBody ? `${chunk(body)}${isWhole ? "0\r\n\r\n" : ""}` : body;
  return Buffer.from(head + sent, "latin1");
}

function chunk(body: string): string {
  return body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`;
}

/** One request on a stream of HTTP/2, as frames. */
export function http2Request(choice: RequestChoice, paths: Paths, stream = 1): Buffer[] {
  const { method, path, headers, body, isWhole } = partsOf(choice, paths);
  const pseudo =
    method === "CONNECT"
      ? { ":method": method, ":authority": path }
      : { ":method": method, ":scheme": "http", ":path": path, ":authority": "a" };
  const ends = (last: boolean) => (last && isWhole ? endStream : 0);
  return [
    frame("headers", endHeaders | ends(body === ""), stream, headerBlock({ ...pseudo, ...headers })),
    ...(body === "" ? [] : [frame("data", ends(true), stream, Buffer.from(body, "latin1"))]),
  ];
}

function type(contentType: string): { readonly "content-type": string } {
  return { "content-type": contentType };
}
