import { create, type JsonValue, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { entityTag } from "./entity-tag.ts";
import { httpRule } from "./route.ts";
import { testService } from "./testdata/descriptors.ts";
import { createTranscoder, type RestInvoke, type RestResponse } from "./transcoder.ts";
import { invokeTransport } from "./transport-invoke.ts";

const library = testService("library.v1.LibraryService");

type Any = Record<string, unknown>;

/** Called when the caller of an endless WatchBooks has gone. */
let watchAborted: (() => void) | undefined;

const implementation = {
  async getShelf(request: Any, context: HandlerContext) {
    if (request.name === "shelves/none") throw new ConnectError("no such shelf", Code.NotFound);
    if (request.name === "shelves/broken") throw new Error("database password is 1");
    context.responseHeader.set("x-from-handler", "yes");
    context.responseHeader.append("set-cookie", "a=1");
    context.responseHeader.append("set-cookie", "b=2");
    context.responseTrailer.set("x-cost", "3");
    const theme = `${context.requestHeader.get("x-theme")} ${context.timeoutMs() === undefined ? "no deadline" : "deadline"}`;
    return { name: request.name, theme };
  },
  async createShelf(request: Any) {
    return request.requestId === "empty" ? {} : { shelf: request.shelf };
  },
  async listBooks() {
    return {};
  },
  async deleteBook({ etag }: Any) {
    if (etag !== "" && etag !== "v2") throw new ConnectError("it has changed", Code.Aborted);
    return {};
  },
  async updateSign({ sign, updateMask }: { sign: Any; updateMask?: { paths: string[] } }) {
    if (sign.etag !== "" && sign.etag !== "v2") throw new ConnectError("it has changed", Code.Aborted);
    return { ...sign, text: updateMask?.paths.join() ?? "" };
  },
  async replaceTags(request: Any) {
    return { tags: request.tags };
  },
  async getFile(request: Any) {
    return {
      contentType: request.path === "untyped" ? "" : "text/plain",
      data: new TextEncoder().encode(`<${request.path}>`),
    };
  },
  async putFile(request: Any) {
    return request.path === "none" ? {} : { receipt: request.content };
  },
  async putRaw(request: Any) {
    return request;
  },
  async *watchBooks(request: Any, context: HandlerContext) {
    if (request.parent === "shelves/none") throw new ConnectError("no such shelf", Code.NotFound);
    yield { name: "1" };
    if (request.parent === "shelves/failing") throw new ConnectError("lost", Code.Unavailable);
    yield { name: "2", tags: ["a\n\nb"] };
    if (request.parent !== "shelves/endless") return;
    context.signal.addEventListener("abort", () => watchAborted?.());
    while (!context.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      yield { name: "more" };
    }
  },
  async *readFile(request: Any) {
    if (request.path === "none") return;
    yield { contentType: "text/plain", data: new TextEncoder().encode("one ") };
    yield { data: new TextEncoder().encode("two") };
  },
};

const transport = createRouterTransport((router) => {
  router.service(library, implementation as never);
});

const transcoderInvoke = invokeTransport(transport);

function transcoder(invoke: RestInvoke = transcoderInvoke) {
  return createTranscoder({
    services: [library],
    invoke,
    readMaxBytes: 1000,
    firstMessageMs: 60,
    keepAliveMs: 30,
  });
}

type Init = { headers?: Record<string, string>; body?: string | Uint8Array | AsyncIterable<Uint8Array> };

async function* chunks(...parts: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts;
}

async function handle(line: string, init: Init = {}, to = transcoder()): Promise<RestResponse> {
  const [method = "", target = ""] = line.split(" ");
  const headers = new Headers(init.headers);
  const { body } = init;
  if (body !== undefined && !headers.has("content-type")) headers.set("content-type", "application/json");
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return to.handle({
    method,
    target: to.target(method, target),
    headers,
    body: bytes === undefined ? null : bytes instanceof Uint8Array ? chunks(bytes) : bytes,
    signal: new AbortController().signal,
  });
}

async function text({ body }: RestResponse): Promise<string> {
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  let all = "";
  for await (const chunk of body) all += new TextDecoder().decode(chunk);
  return all;
}

async function json(response: RestResponse): Promise<JsonValue> {
  return JSON.parse(await text(response)) as JsonValue;
}

describe("If-Match", () => {
  const ifMatch = (tag: string) => ({ headers: { "if-match": tag } });
  const change = (tag: string, body = '{"text":"new"}') => handle("PATCH /v1/signs/1", { ...ifMatch(tag), body });

  it.each([
    ['"v2"', 200],
    ['"v2.0123456789abcdefghij_-"', 200],
    ['"v1.0123456789abcdefghij_-"', 412],
    [' "v2" ', 200],
    ["*", 200],
    ['"v1"', 412],
    ['W/"v2"', 412],
    ["v2", 400],
    ['""', 400],
    ['"v1", "v2"', 400],
    ["", 400],
  ])("%s is compared with the etag, in the request or in its body, and answered %i", async (tag, status) => {
    expect((await handle("DELETE /v1/shelves/1/books/2", ifMatch(tag))).status).toBe(status);
    expect((await change(tag)).status).toBe(status);
  });

  it("changes nothing itself, and the error is the same with another status", async () => {
    expect(await json(await change('"v2"'))).toEqual({ name: "signs/1", text: "text", etag: "v2" });
    const stale = await change('"v1"');
    expect(await json(stale)).toEqual({ code: 10, message: "it has changed", details: [] });
    const asField = await handle("PATCH /v1/signs/1", { body: '{"text":"new","etag":"v1"}' });
    expect([asField.status, await json(asField)]).toEqual([409, await json(await change('"v1"'))]);
  });

  it("is refused with a different etag in the request, but not with the same one", async () => {
    expect((await change('"v2"', '{"etag":"v1"}')).status).toBe(400);
    expect((await change('"v2"', '{"etag":"v2"}')).status).toBe(200);
    expect((await handle("DELETE /v1/shelves/1/books/2?etag=v1", ifMatch('"v2"'))).status).toBe(400);
    expect((await handle("DELETE /v1/shelves/1/books/2?etag=v2", ifMatch('"v2"'))).status).toBe(200);
  });

  it("is ignored by methods without an etag", async () => {
    expect((await handle("GET /v1/shelves/1", ifMatch('"v1"'))).status).toBe(200);
    expect((await handle("POST /v1/shelves", { ...ifMatch('"v1"'), body: "{}" })).status).toBe(200);
  });
});

describe("If-None-Match", () => {
  it("is answered 304 if it matches the answer to GET, and ignored by other methods", async () => {
    const { headers } = await handle("GET /v1/shelves/1");
    const known = { headers: { "if-none-match": String(headers.etag) } };
    expect(await handle("GET /v1/shelves/1", known)).toMatchObject({ status: 304, headers: { etag: headers.etag } });
    expect(await handle("GET /v1/shelves/2", known)).toMatchObject({ status: 200 });
    const created = await handle("POST /v1/shelves", { headers: { "if-none-match": "*" }, body: "{}" });
    expect([created.status, created.headers.etag]).toEqual([200, undefined]);
  });

  it("compares the hash of the answer, after the message's own etag if it has a valid one", () => {
    const [one, two] = ["1", "2"].map((text) => new TextEncoder().encode(text));
    expect(entityTag(one!, "v3")).toMatch(/^"v3\.[\w-]{22}"$/);
    expect(entityTag(one!, "v3")).not.toBe(entityTag(two!, "v3"));
    for (const odd of [undefined, "", 'a"b', "a b", "a.b", "ü"]) expect(entityTag(one!, odd)).toMatch(/^"[\w-]{22}"$/);
  });
});

describe("unary calls", () => {
  it("answer JSON with proto names, zeros and empty lists present, 64-bit integers as text", async () => {
    const response = await handle("GET /v1/shelves/1/books");
    expect(response.status).toBe(200);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(await json(response)).toEqual({ books: [], next_page_token: "" });
    const created = await handle("POST /v1/shelves", { body: '{"theme":"Ü","capacity":"9007199254740993"}' });
    expect(await json(created)).toEqual({ name: "", theme: "Ü", capacity: "9007199254740993" });
    expect(created.headers["content-length"]).toBe(String((created.body as Uint8Array).byteLength));
  });

  it("answer the response_body: a message, an empty one if unset, a list", async () => {
    expect(await json(await handle("POST /v1/shelves?request_id=empty"))).toEqual({
      name: "",
      theme: "",
      capacity: "0",
    });
    expect(await json(await handle("PUT /v1/books/1/tags", { body: '["a"]' }))).toEqual(["a"]);
    expect(await json(await handle("PUT /v1/books/1/tags", { body: "[]" }))).toEqual([]);
  });

  it("answer {} for google.protobuf.Empty", async () => {
    expect(await text(await handle("DELETE /v1/shelves/1/books/2"))).toBe("{}");
  });

  it("pass headers in both directions, trailers as trailer- headers, and the deadline", async () => {
    const response = await handle("GET /v1/shelves/1", {
      headers: {
        "x-theme": "jazz",
        "connect-timeout-ms": "5000",
        connection: "x-theme",
        "content-length": "99",
      },
    });
    expect(await json(response)).toMatchObject({ theme: "jazz deadline" });
    expect(response.headers).toMatchObject({
      "x-from-handler": "yes",
      "set-cookie": ["a=1", "b=2"],
      "trailer-x-cost": "3",
    });
    expect((await handle("GET /v1/shelves/1", { headers: { "connect-timeout-ms": "soon" } })).status).toBe(400);
  });

  it("answer errors as Status", async () => {
    const response = await handle("GET /v1/shelves/none");
    expect([response.status, await json(response)]).toEqual([404, { code: 5, message: "no such shelf", details: [] }]);
    const broken = await handle("GET /v1/shelves/broken");
    expect([broken.status, await text(broken)]).toEqual([500, expect.not.stringContaining("password")]);
  });

  it("transfer google.api.HttpBody as bytes, in both directions, whole or in a field", async () => {
    const file = await handle("GET /v1/files/a/b%2Fc");
    expect([file.headers["content-type"], await text(file)]).toEqual(["text/plain", "<a/b%2Fc>"]);
    expect((await handle("GET /v1/files/untyped")).headers["content-type"]).toBe("application/octet-stream");
    for (const line of ["PUT /v1/files/x", "POST /v1/raw"]) {
      const echoed = await handle(line, { headers: { "content-type": "text/csv" }, body: "a,b" });
      expect([echoed.headers["content-type"], await text(echoed)]).toEqual(["text/csv", "a,b"]);
    }
    expect(await text(await handle("PUT /v1/files/none", { body: "{}" }))).toBe("");
    const empty = await handle("PUT /v1/files/x", { headers: { "content-type": "text/csv" } });
    expect([empty.headers["content-type"], await text(empty)]).toEqual(["text/csv", ""]);
  });

  it("are 501 for methods that stream requests", async () => {
    expect((await handle("POST /v1/books:import", { body: "{}" })).status).toBe(501);
  });
});

describe("HTTP", () => {
  it("answers 404 for an unknown path, 405 with Allow for another method, both as Status", async () => {
    const nowhere = await handle("GET /nowhere");
    expect([nowhere.status, await json(nowhere)]).toEqual([
      404,
      { code: 5, message: "there is nothing at /nowhere", details: [] },
    ]);
    const wrong = await handle("DELETE /v1/search");
    expect([wrong.status, wrong.headers.allow]).toEqual([405, "GET, HEAD, POST, OPTIONS"]);
    expect(await json(wrong)).toMatchObject({ code: 12 });
  });

  it("answers OPTIONS with 204 and Allow", async () => {
    const response = await handle("OPTIONS /v1/search");
    expect([response.status, response.headers.allow, response.body]).toEqual([
      204,
      "GET, HEAD, POST, OPTIONS",
      new Uint8Array(),
    ]);
    expect((await handle("OPTIONS /nowhere")).status).toBe(404);
    const custom = httpRule({
      selector: "library.v1.LibraryService.GetShelf",
      pattern: { case: "custom", value: { kind: "OPTIONS", path: "/v1/shelf" } },
      additionalBindings: [{ pattern: { case: "get", value: "/v1/shelf" } }],
    });
    const to = createTranscoder({ services: [library], invoke: invokeTransport(transport), rules: [custom] });
    expect((await handle("OPTIONS /v1/shelf", {}, to)).status).toBe(200);
    expect((await handle("DELETE /v1/shelf", {}, to)).headers.allow).toBe("GET, HEAD, OPTIONS");
  });

  it("answers HEAD like GET without the body", async () => {
    const get = await handle("GET /v1/shelves/1");
    const head = await handle("HEAD /v1/shelves/1");
    expect([head.status, head.headers, head.body]).toEqual([get.status, get.headers, new Uint8Array()]);
    expect((await handle("HEAD /v1/shelves/none")).body).toEqual(new Uint8Array());
    expect((await handle("HEAD /v1/shelves/1/books:watch")).body).toEqual(new Uint8Array());
  });

  it("answers 415 for another Content-Type or Content-Encoding, as invalid_argument", async () => {
    for (const headers of [{ "content-type": "text/plain" }, { "content-encoding": "br" }]) {
      const response = await handle("POST /v1/shelves", { headers: headers as Record<string, string>, body: "{}" });
      expect([response.status, await json(response)]).toMatchObject([415, { code: 3 }]);
    }
  });

  it("answers 413 for a body over the limit, announced or not, compressed or not, as resource_exhausted", async () => {
    const { gzipSync } = await import("node:zlib");
    const announced = { headers: { "content-length": "1001" }, body: chunks() };
    const unannounced = { body: chunks(new Uint8Array(600), new Uint8Array(600)) };
    const bomb = { headers: { "content-encoding": "gzip" }, body: gzipSync(Buffer.alloc(100_000, " ")) };
    for (const init of [announced, unannounced, bomb]) {
      const response = await handle("POST /v1/shelves", init);
      expect([response.status, await json(response)]).toMatchObject([413, { code: 8 }]);
    }
    const exact = `{"theme":"${"x".repeat(988)}"}`;
    expect(exact).toHaveLength(1000);
    expect((await handle("POST /v1/shelves", { body: exact })).status).toBe(200);
    expect((await handle("POST /v1/shelves", { body: `${exact} ` })).status).toBe(413);
  });

  it("reads gzip bodies, and refuses broken ones", async () => {
    const { gzipSync } = await import("node:zlib");
    const headers = { "content-encoding": "gzip" };
    const body = gzipSync('{"theme":"zip"}');
    expect(await json(await handle("POST /v1/shelves", { headers, body }))).toMatchObject({ theme: "zip" });
    expect((await handle("POST /v1/shelves", { headers, body: body.subarray(0, 10) })).status).toBe(400);
    expect((await handle("POST /v1/shelves", { headers, body: "{}" })).status).toBe(400);
  });
});

describe("the host", () => {
  it("may refuse before a byte of the body is read or decoded", async () => {
    let read = false;
    const body = {
      async *[Symbol.asyncIterator]() {
        read = true;
        yield new Uint8Array();
      },
    };
    const refuse = transcoder(async () => {
      throw new ConnectError("not yours", Code.PermissionDenied);
    });
    const refused = await handle("POST /v1/shelves", { headers: { "content-type": "text/plain" }, body }, refuse);
    expect([refused.status, read]).toEqual([403, false]);
    expect((await handle("GET /v1/search?unknown=1", {}, refuse)).status).toBe(403);
    expect((await handle("GET /v1/shelves/%ff", {}, refuse)).status).toBe(403);
  });

  it("may ask for the message twice", async () => {
    const twice = transcoder(async (method, call) => {
      expect(await call.message()).toBe(await call.message());
      return { header: new Headers(), trailer: new Headers(), message: create(method.output) };
    });
    expect((await handle("POST /v1/shelves", { body: "{}" }, twice)).status).toBe(200);
  });

  it("may rebuild errors without losing the HTTP status of bad requests", async () => {
    const rebuilding = transcoder(async (_method, call): Promise<never> => {
      await call.message().catch((error: ConnectError) => {
        throw new ConnectError(error.rawMessage, error.code);
      });
      throw new ConnectError("after decoding", Code.InvalidArgument);
    });
    const init = { headers: { "content-type": "text/plain" }, body: "{}" };
    expect((await handle("POST /v1/shelves", init, rebuilding)).status).toBe(415);
    expect((await handle("POST /v1/shelves", { body: "{}" }, rebuilding)).status).toBe(400);
    const other = transcoder(async (_method, call): Promise<never> => {
      await call.message().catch(() => undefined);
      throw new ConnectError("no", Code.PermissionDenied);
    });
    expect((await handle("POST /v1/shelves", init, other)).status).toBe(403);
  });

  it("gets a 500 and no crash if its answer can't be expressed in JSON, or it throws synchronously", async () => {
    const unknownAny = transcoder(async (method) => ({
      header: new Headers(),
      trailer: new Headers(),
      message: create(method.output, {
        any: { typeUrl: "type.googleapis.com/not.Known" },
      } as never) as Message,
    }));
    expect((await handle("GET /v1/search", {}, unknownAny)).status).toBe(500);
    const throwing = transcoder((() => {
      throw new Error("at once");
    }) as never);
    expect((await handle("GET /v1/search", {}, throwing)).status).toBe(500);
  });
});

describe("server streams", () => {
  const line = "GET /v1/shelves/1/books:watch";
  const sse = { headers: { accept: "text/event-stream" } };

  it("are sent as one JSON object per line", async () => {
    const response = await handle(line);
    expect([response.status, response.headers["content-type"]]).toEqual([200, "application/x-ndjson"]);
    const body = await text(response);
    expect(
      body
        .trimEnd()
        .split("\n")
        .map((it) => JSON.parse(it).name),
    ).toEqual(["1", "2"]);
    expect(body.endsWith("\n")).toBe(true);
  });

  it("are sent as events if Accept names them, with an event at the end", async () => {
    const response = await handle(line, sse);
    expect(response.headers["content-type"]).toBe("text/event-stream");
    const events = (await text(response)).split("\n\n");
    expect(events[0]).toBe("retry: 2000");
    expect(events[1]).toMatch(/^data: \{"name":"1",.*\}$/);
    expect(events[2]).toMatch(/^data: \{"name":"2",.*"a\\n\\nb".*\}$/);
    expect(events.slice(3)).toEqual(["event: end\ndata: {}", ""]);
  });

  it.each([
    [undefined, "ndjson"],
    ["*/*", "ndjson"],
    ["application/json", "ndjson"],
    ["application/x-ndjson", "ndjson"],
    ["text/event-streams", "ndjson"],
    ["text/event-stream;q=0, */*", "ndjson"],
    ["text/event-stream;q=0.5, application/x-ndjson", "ndjson"],
    ["text/event-stream; charset=utf-8", "events"],
    ["application/json, Text/Event-Stream;q=0.1", "events"],
    ["application/x-ndjson;q=0.9, text/event-stream", "events"],
    ["application/x-ndjson, text/event-stream", "events"],
  ])("for Accept: %s are sent as %s", async (accept, format) => {
    const response = await handle(line, { headers: accept === undefined ? {} : { accept } });
    const type = format === "events" ? "text/event-stream" : "application/x-ndjson";
    expect(response.headers["content-type"]).toBe(type);
    expect(await text(response)).toMatch(format === "events" ? /^retry: \d+\n\ndata: \{/ : /^\{/);
  });

  it("answer an error before the first message with its HTTP status", async () => {
    const response = await handle("GET /v1/shelves/none/books:watch");
    expect([response.status, await json(response)]).toMatchObject([404, { code: 5, message: "no such shelf" }]);
  });

  it("end with the Status of an error after the first message", async () => {
    const lines = (await text(await handle("GET /v1/shelves/failing/books:watch"))).trimEnd().split("\n");
    expect(JSON.parse(lines[1] ?? "")).toEqual({ error: { code: 14, message: "lost", details: [] } });
    const events = (await text(await handle("GET /v1/shelves/failing/books:watch", sse))).split("\n\n");
    expect(events[2]).toBe('event: failure\ndata: {"code":14,"message":"lost","details":[]}');
  });

  it("are not buffered by proxies", async () => {
    for (const init of [sse, {}])
      expect((await handle(line, init)).headers).toMatchObject({
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
  });

  describe("that can be resumed", () => {
    /** Streams messages with these names or, given a position, those after it; "" is a message without a position. */
    const resumable = (...names: string[]) => {
      const asked: string[] = [];
      const to = createTranscoder({
        services: [library],
        resumptionOf: ({ name }) => (name === "WatchBooks" ? { id: "name", after: "parent" } : undefined),
        firstMessageMs: 60,
        keepAliveMs: 30,
        invoke: async (method, call) => {
          const { parent } = (await call.message()) as Message & { parent: string };
          asked.push(parent);
          return {
            header: undefined,
            trailer: undefined,
            message: (async function* () {
              for (const name of names) yield create(method.output, { name } as never);
            })(),
          };
        },
      });
      return { to, asked };
    };
    const watch = async (lastEventId: string | undefined, ...names: string[]) => {
      const { to, asked } = resumable(...names);
      const headers = { ...sse.headers, ...(lastEventId !== undefined && { "last-event-id": lastEventId }) };
      const response = await handle(line, { headers }, to);
      return { status: response.status, asked: asked[0], events: (await text(response)).split("\n\n").slice(1, -1) };
    };

    it("contain each message's position, if it has one", async () => {
      const { events } = await watch(undefined, "1", "", "2");
      expect(events.map((event) => /^id: (.*)\ndata: /.exec(event)?.[1])).toEqual(["1", undefined, "2", undefined]);
    });

    it("continue after the last event, which takes precedence over the URL", async () => {
      expect((await watch(undefined, "1")).asked).toBe("shelves/1");
      expect((await watch("", "1")).asked).toBe("shelves/1");
      expect((await watch("shelves/7", "1")).asked).toBe("shelves/7");
    });

    it("are not cached with the position of one of their readers", async () => {
      const { to, asked } = resumable("1");
      for (const last of ["shelves/7", "", "shelves/8", ""])
        await text(await handle(line, { headers: { ...sse.headers, "last-event-id": last } }, to));
      expect(asked).toEqual(["shelves/7", "shelves/1", "shelves/8", "shelves/1"]);
    });

    it.each([[[]], [[""]]])("answer 204 if nothing but %j follows, so that an EventSource stops", async (names) => {
      expect(await watch("shelves/7", ...names)).toMatchObject({ status: 204, events: [] });
    });

    it("lose no message that follows one without a position", async () => {
      const { events } = await watch("shelves/7", "", "2");
      expect(events.map((event) => /^id: (.*)\n/.exec(event)?.[1])).toEqual([undefined, "2", undefined]);
    });

    it("are refused at start if the messages do not have the paths", () => {
      const wrong = { id: "nothing", after: "parent" };
      const open = () => createTranscoder({ services: [library], invoke: transcoderInvoke, resumptionOf: () => wrong });
      expect(open).toThrow("has no field nothing");
    });
  });

  it("begin without a message if the stream is idle, and send keep-alives", async () => {
    // Connect's transports answer only with the first message; a host that calls implementations directly need not.
    const quiet = transcoder(async (method) => ({
      header: new Headers(),
      trailer: new Headers(),
      message: (async function* () {
        await new Promise((resolve) => setTimeout(resolve, 200));
        yield create(method.output, { name: "1" } as never);
      })(),
    }));
    const response = await handle(line, sse, quiet);
    expect(response.status).toBe(200);
    const body = await text(response);
    expect(body).toMatch(/^retry: \d+\n\n(: keep-alive\n\n)+data: /);
    expect(body).toContain('"name":"1"');
  });

  it("end when their reader goes away: the iterator is returned, and a transport's call aborted", async () => {
    const aborted = new Promise<void>((resolve) => {
      watchAborted = resolve;
    });
    const { body } = await handle("GET /v1/shelves/endless/books:watch");
    let count = 0;
    for await (const _ of body as AsyncIterable<Uint8Array>) if (++count === 3) break;
    await aborted;

    let returned = false;
    const endless = transcoder(async (method) => ({
      header: new Headers(),
      trailer: new Headers(),
      message: (async function* () {
        try {
          while (true) yield create(method.output);
        } finally {
          returned = true;
        }
      })(),
    }));
    for await (const _ of (await handle(line, {}, endless)).body as AsyncIterable<Uint8Array>) break;
    await new Promise(setImmediate);
    expect(returned).toBe(true);
  });

  it("of google.api.HttpBody are its concatenated bytes, with the first one's type", async () => {
    const response = await handle("GET /v1/streams/x");
    expect([response.headers["content-type"], await text(response)]).toEqual(["text/plain", "one two"]);
    expect(await text(await handle("GET /v1/streams/none"))).toBe("");
  });
});
