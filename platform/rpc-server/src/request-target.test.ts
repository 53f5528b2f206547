import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { DomainError } from "@shop/core";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { normalizeTarget, OnePortServer, portOf } from "@shop/http-port";
import { silentLog } from "@shop/runtime/testing";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRouterOptions } from "./pipeline/router-options.ts";
import { listen, type RpcServer, type ServerOptions } from "./server.ts";
import { forwarding, testRules } from "./testing/test-port.ts";

const services: readonly DescService[] = [DeadLetterService, TokenKeyService];
const reached = (name: string) => () => {
  throw new ConnectError(`reached ${name}`, Code.FailedPrecondition);
};

/** Every method fails with its name, so that an answer shows where a request was routed. */
function routes(router: ConnectRouter): void {
  for (const service of services)
    router.service(
      service,
      Object.fromEntries(service.methods.map(({ localName, name }) => [localName, reached(name)])) as object,
    );
}

/** Admission refuses one of these, authorization the other, before any of the body is read. */
const refused = DeadLetterService.method.redriveDeadLetter;
const forbidden = DeadLetterService.method.deleteDeadLetter;
const overloaded = new DomainError("resource_exhausted", "OVERLOADED", `${refused.name} is refused`);

async function authorize(method: unknown) {
  if (method === forbidden) throw new DomainError("permission_denied", "FORBIDDEN", `${forbidden.name} is forbidden`);
  return { kind: "service", name: "test" } as const;
}

/** The requests that the upstream of the forwarding ports received. */
const forwarded = new Set<string>();
const ports: { readonly name: string; readonly port: number; readonly session: http2.ClientHttp2Session }[] = [];
const servers: RpcServer[] = [];

beforeAll(async () => {
  const open = async (options: Partial<ServerOptions>) => {
    const server = await listen({
      name: "test",
      services,
      isPublic: true,
      hosted: () => routes,
      refusal: (method) => (method === refused ? overloaded : undefined),
      routerOptions: createRouterOptions(testRules(authorize)),
      authorize,
      log: silentLog,
      ...options,
    });
    servers.push(server);
    return server.port;
  };
  const upstream = await open({ isPublic: false });
  const recorder = new OnePortServer({}, (request, response) => {
    forwarded.add(request.url!);
    const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !name.startsWith(":")));
    const { method, url: path } = request;
    const onward = http.request({ host: "127.0.0.1", port: upstream, method, path, headers }, (answer) => {
      const { connection: _, "keep-alive": __, "transfer-encoding": ___, ...kept } = answer.headers;
      answer.pipe(response.writeHead(answer.statusCode!, kept));
    });
    request.pipe(onward);
  });
  await once(recorder.listen(0, "127.0.0.1"), "listening");
  const recorded = portOf(recorder);
  servers.push({ name: "recorder", port: recorded, announceClose() {}, close: async () => void recorder.close() });
  const forwards = forwarding(`http://127.0.0.1:${recorded}`, services);
  const shapes: Record<string, Partial<ServerOptions>> = {
    "one process, fast path": {},
    "one process, fallback": { fastPath: false },
    "split, fast path": forwards,
    "split, fallback": { ...forwards, fastPath: false },
  };
  for (const [name, options] of Object.entries(shapes)) {
    const port = await open(options);
    ports.push({ name, port, session: http2.connect(`http://127.0.0.1:${port}`) });
  }
});

afterAll(async () => {
  for (const { session } of ports) session.close();
  for (const server of servers.reverse()) await server.close();
});

interface Line {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

const rpcs: readonly Line[] = services.flatMap((service) =>
  service.methods.map(({ name, input }) => ({
    method: "POST",
    path: `/${service.typeName}/${name}`,
    body: input.fields[0]?.name === "dead_letter_id" ? `{"dead_letter_id":"42"}` : "{}",
  })),
);
const known: readonly Line[] = [
  ...rpcs,
  { method: "GET", path: "/admin/dead-letters" },
  { method: "GET", path: "/admin/dead-letters/42" },
  { method: "POST", path: "/admin/dead-letters/42:redrive", body: "{}" },
  { method: "DELETE", path: "/admin/dead-letters/42" },
  { method: "GET", path: "/.well-known/jwks.json" },
  { method: "GET", path: "/healthz" },
  { method: "GET", path: "/readyz" },
  { method: "POST", path: "/grpc.health.v1.Health/Check", body: "{}" },
  { method: "POST", path: "/grpc.health.v1.Health/Chuck", body: "{}" },
  { method: "GET", path: "/admin/nothing" },
];

/** The status and body of an answer. */
type Decision = string;
type Headers = Readonly<Record<string, string>>;

async function askHttp1(port: number, { method, path, body }: Line, headers: Headers): Promise<Decision> {
  const request = http.request({ host: "127.0.0.1", port, method, path, headers });
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  return `${response.statusCode} ${Buffer.concat(await response.toArray())}`;
}

async function askHttp2(session: http2.ClientHttp2Session, line: Line, headers: Headers): Promise<Decision> {
  const stream = session.request({ ":method": line.method, ":path": line.path, ...headers }, { endStream: false });
  stream.end(line.body);
  const [head] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
  return `${head[":status"]} ${Buffer.concat(await stream.toArray())}`;
}

const json: Headers = { "content-type": "application/json", "connect-protocol-version": "1" };

/** The answers of all ports, over both versions of HTTP if HTTP/2 can carry the target. */
async function decisions(line: Line): Promise<ReadonlyMap<string, Decision>> {
  const headers = line.body === undefined ? {} : json;
  const host = (port: number) => ({ ...line, path: line.path.replace("HOST", `127.0.0.1:${port}`) });
  const asked = ports.flatMap(({ name, port, session }) => [
    askHttp1(port, host(port), headers).then((decision) => [`${name}, HTTP/1.1`, decision] as const),
    ...(line.path.startsWith("/")
      ? [askHttp2(session, line, headers).then((decision) => [`${name}, HTTP/2`, decision] as const)]
      : []),
  ]);
  return new Map(await Promise.all(asked));
}

/** The common answer of all ports; fails if they differ. */
async function decisionOn(line: Line): Promise<Decision> {
  const all = await decisions(line);
  const [first] = all.values();
  expect(new Map([...all].filter(([, decision]) => decision !== first)), `${line.path}: ${first}`).toEqual(new Map());
  return first!;
}

const canonical = new Map<Line, Decision>();
const canonicalOf = async (line: Line) => {
  const decision = canonical.get(line) ?? (await decisionOn(line));
  canonical.set(line, decision);
  return decision;
};

const unreserved = /[\w.~:-]/;
const escaped = (character: string, upper: boolean) => {
  const hex = character.charCodeAt(0).toString(16);
  return `%${upper ? hex.toUpperCase() : hex}`;
};

/** Equivalent spellings of a target. */
function variantsOf({ path, ...line }: Line): fc.Arbitrary<Line> {
  const characters = [...path].map((character) =>
    unreserved.test(character)
      ? fc.oneof(
          { weight: 3, arbitrary: fc.constant(character) },
          { weight: 1, arbitrary: fc.boolean().map((upper) => escaped(character, upper)) },
        )
      : fc.constant(character),
  );
  const origins = fc.constantFrom("", "", "http://HOST", "HTTP://HOST", "https://HOST");
  const queries = fc.constantFrom("", "?", ...(line.body === undefined ? [] : ["?x=%2F../%2e%zz{}"]));
  return fc
    .tuple(origins, fc.tuple(...characters), queries)
    .map(([origin, written, query]) => ({ ...line, path: `${origin}${written.join("")}${query}` }));
}

/** Segments that are refused anywhere in a path. */
const refusedSegments = [
  ...["/.", "/..", "/%2e", "/.%2E", "/%2e%2e", "/x/..", "/./x"],
  ...["%2F", "%2f", "/%2e%2e%2f", "%5c", "%5C", "\\"],
  ...["%", "%4", "%zz", "%%34%31", "%u0041", "%ff", "%c0%ae", "%C3", "%ed%a0%80"],
  ...["#", "#/x", "|", "{", "^", "`", '"', "<"],
];

/** Targets with a refused segment. */
function refusedOf({ path, ...line }: Line): fc.Arbitrary<Line> {
  const slashes = [...path.matchAll(/\//g)].map(({ index }) => index).slice(1);
  return fc
    .tuple(fc.constantFrom(...refusedSegments), fc.constantFrom(...slashes, path.length), fc.constantFrom("", "?x=1"))
    .map(([refused, at, query]) => ({ ...line, path: `${path.slice(0, at)}${refused}${path.slice(at)}${query}` }));
}

test("known paths are routed to their methods, and refused by admission and authorization", async () => {
  const decided = new Map(await Promise.all(known.map(async (line) => [line.path, await canonicalOf(line)] as const)));
  for (const { path } of rpcs) {
    const [, name] = path.slice(1).split("/");
    const end = name === refused.name ? "is refused" : name === forbidden.name ? "is forbidden" : undefined;
    expect(decided.get(path)).toContain(end === undefined ? `reached ${name}` : `${name} ${end}`);
  }
  expect(decided.get("/admin/dead-letters/42:redrive")).toMatch(/^429 /);
  expect(decided.get("/.well-known/jwks.json")).toContain("reached ListTokenKeys");
  expect(decided.get("/healthz")).toMatch(/^200 /);
});

test("every equivalent spelling of a known path gets the same answer as the path itself, on every port", async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(...known.map(variantsOf)), async (variants) => {
      forwarded.clear();
      await Promise.all(
        variants.map(async (variant, index) =>
          expect(await decisionOn(variant), variant.path).toBe(await canonicalOf(known[index]!)),
        ),
      );
      for (const target of forwarded) expect(known.map(({ path }) => path)).toContain(target.split("?", 1)[0]);
    }),
    { numRuns: 8 },
  );
}, 60_000);

test("segments that no path needs are refused by every port in the caller's protocol, and never forwarded", async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(...known.map(refusedOf)), async (variants) => {
      forwarded.clear();
      await Promise.all(
        variants.map(async (variant) => {
          const expected = variant.body === undefined ? '400 {"code":3,' : '400 {"code":"invalid_argument",';
          expect(await decisionOn(variant), variant.path).toContain(expected);
        }),
      );
      expect([...forwarded]).toEqual([]);
    }),
    { numRuns: 8 },
  );
}, 60_000);

/** Anything appended to an id is part of the id. */
const withoutIds = known.filter(({ path }) => !/\/(42|nothing)$/.test(path));

test.each(["/", "//", ";x", "/x", ":x", "%3F", "%3B", "%00", "%0a", "%25", "%2541", "%C3%A4", "@", ","])(
  "a known path followed by %j is another path, on every port",
  async (more) => {
    await Promise.all(
      withoutIds.map(async (line) => {
        const decision = await decisionOn({ ...line, path: `${line.path}${more}` });
        expect(decision, line.path).not.toBe(await canonicalOf(line));
      }),
    );
  },
);

test.each(["//", "///", "/;/", "/x/", "/%2541dmin/"])(
  "a known path after %j is another path, on every port",
  async (ahead) => {
    await Promise.all(
      withoutIds.map(async (line) => {
        const decision = await decisionOn({ ...line, path: `${ahead}${line.path.slice(1)}` });
        expect(decision, line.path).toMatch(/^404 /);
      }),
    );
  },
);

test.each(["\xe4", "\xff", "\xc2\x85"])("non-ASCII bytes (%j) are refused by every port", async (bytes) => {
  for (const { path } of known)
    for (const target of [`${path}${bytes}`, `${path}?x=${bytes}`])
      for (const decision of (await decisions({ method: "GET", path: target })).values())
        expect(decision, target).toMatch(/^400 /);
});

test.each([
  ["*", "OPTIONS"],
  ["http://other.example/healthz", "GET"],
  ["http://HOST.evil.example/healthz", "GET"],
  ["http://user@HOST/healthz", "GET"],
  ["http:///healthz", "GET"],
  ["ftp://HOST/healthz", "GET"],
  ["http:healthz", "GET"],
  ["http://HOST\\@x/healthz", "GET"],
  ["http://HOST/../healthz", "GET"],
])("the target %s is refused by every port", async (path, method) => {
  expect(await decisionOn({ method, path })).toMatch(/^400 /);
});

test("an absolute URI without a path has the path /", async () => {
  const root = await decisionOn({ method: "GET", path: "/" });
  expect(await decisionOn({ method: "GET", path: "http://HOST" })).toBe(root);
  expect(await decisionOn({ method: "GET", path: "http://HOST?x=1" })).toBe(root);
});

describe("normalizeTarget", () => {
  test.each([
    ["/products?page_size=1", "/products?page_size=1"],
    ["/%70roducts?%70age_size=1", "/products?%70age_size=1"],
    ["/products%3AbatchGet", "/products:batchGet"],
    ["/a%c3%a4%7C%40", "/a%C3%A4%7C%40"],
    ["/%2541", "/%2541"],
    ["/%25%34%31", "/%2541"],
    ["/.well-known/...", "/.well-known/..."],
    ["/a?b?c/../d", "/a?b?c/../d"],
    ["http://HOST.example:80/a", "/a"],
    ["https://host.example:443/a", "/a"],
  ])("turns %s into %s, idempotently", (target, normalized) => {
    const host = "host.example";
    expect(normalizeTarget(target, host)).toBe(normalized);
    expect(normalizeTarget(normalized, host)).toBe(normalized);
  });

  test("is idempotent", () => {
    const parts = fc.constantFrom("/", "%", "2", "5", "4", "1", "e", "F", ".", ":", "?", "#", "a", "http://h", "\xe4");
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 12 }), (text) => {
        const once = normalizeTarget(text.join(""), "h");
        if (once !== undefined) expect(normalizeTarget(once, "h")).toBe(once);
      }),
      { numRuns: 2_000 },
    );
  });
});
