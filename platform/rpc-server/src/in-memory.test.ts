import { create } from "@bufbuild/protobuf";
import {
  type CallOptions,
  Code,
  ConnectError,
  type ConnectRouter,
  createClient,
  createRouterTransport,
  type HandlerContext,
  type Interceptor,
} from "@connectrpc/connect";
import { DomainError } from "@shop/core";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import {
  DeadLetterService,
  ListDeadLettersRequestSchema,
  ListDeadLettersResponseSchema,
} from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, test, vi } from "vitest";
import { createInMemoryTransport } from "./in-memory.ts";
import { createRouterOptions } from "./pipeline/router-options.ts";
import { testRules } from "./testing/test-port.ts";

/** What the method does, by the page token of the request. */
const scenarios: Record<string, (context: HandlerContext) => unknown> = {
  answers: () => ({ nextPageToken: "next" }),
  says(context) {
    context.responseHeader.set("x-said", "in the header");
    context.responseTrailer.set("x-said-last", "in the trailer");
    return {};
  },
  refuses(context) {
    context.responseHeader.set("x-said", "before");
    throw new DomainError("failed_precondition", "NOT_NOW", "not now", { retryAfterMs: 2_000 });
  },
  fails: () => {
    throw new Error("a secret");
  },
  asks: (context) => ({
    nextPageToken: JSON.stringify({
      ...{ header: context.requestHeader.get("x-asked"), method: context.requestMethod, url: context.url },
      ...{ timed: (context.timeoutMs() ?? 0) > 1_000, protocol: context.protocolName },
    }),
  }),
};

const routes = (router: ConnectRouter) =>
  void router.service(DeadLetterService, {
    listDeadLetters: ({ pageToken }, context) => scenarios[pageToken]!(context) as object,
  });

const called = createRouterOptions(
  testRules(async (_method, header) => {
    if (header.get("x-asked") === "by a stranger")
      throw new DomainError("permission_denied", "STRANGER", "unknown caller");
    return { kind: "service", name: "test" };
  }),
);
const asking: Interceptor = (next) => async (request) => {
  if (!request.header.has("x-asked")) request.header.set("x-asked", "by the interceptor");
  return await next(request);
};
const calling = { interceptors: [asking], defaultTimeoutMs: 5_000 };
const ours = createClient(DeadLetterService, createInMemoryTransport(routes, called, calling));
const connects = createClient(
  DeadLetterService,
  createRouterTransport(routes, { router: called, transport: { ...calling, baseUrl: "https://in-memory" } }),
);

/** Everything that a caller can see of an answer; of the headers only our own. */
async function seenBy(client: typeof ours, pageToken: string, options: CallOptions = {}) {
  const said: string[] = [];
  const note = (headers: Headers) => said.push(...[...headers].filter(([name]) => name.startsWith("x-")).flat());
  const all = { ...options, onHeader: note, onTrailer: note };
  try {
    return { message: await client.listDeadLetters({ pageToken }, all), said };
  } catch (error) {
    const { code, rawMessage, details, metadata, cause } = ConnectError.from(error);
    note(metadata);
    return { code: Code[code], rawMessage, details, cause, retryAfter: metadata.get("retry-after"), said };
  }
}

test.each([
  ...Object.keys(scenarios).map((name) => [name, {}] as const),
  ["answers", { headers: { "x-asked": "by a stranger" } }] as const,
  ["x".repeat(5_000), {}] as const,
])("a call that %.7s gives its caller the same as Connect's own transport (%o)", async (pageToken, options) => {
  expect(await seenBy(ours, pageToken, options)).toEqual(await seenBy(connects, pageToken, options));
});

test("an error has its details, but not its cause", async () => {
  const error = await ours.listDeadLetters({ pageToken: "refuses" }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.FailedPrecondition, cause: undefined });
  expect((error as ConnectError).findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NOT_NOW" }]);
});

test("a call of a method that never ends ends at the deadline", async () => {
  const deaf = (router: ConnectRouter) =>
    void router.service(DeadLetterService, { listDeadLetters: () => new Promise<never>(() => {}) });
  const client = createClient(DeadLetterService, createInMemoryTransport(deaf, called, calling));
  const error = await client.listDeadLetters({}, { timeoutMs: 50 }).catch(ConnectError.from);
  expect(error).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a caller's abort aborts the method's signal", async () => {
  const ended = vi.fn();
  const waiting = (router: ConnectRouter) =>
    void router.service(DeadLetterService, {
      listDeadLetters: (_request, context) =>
        new Promise((_resolve, reject) =>
          context.signal.addEventListener("abort", () => {
            ended();
            reject(context.signal.reason);
          }),
        ),
    });
  const client = createClient(DeadLetterService, createInMemoryTransport(waiting, called, calling));
  const caller = new AbortController();
  const call = client.listDeadLetters({}, { signal: caller.signal }).catch(ConnectError.from);
  setImmediate(() => caller.abort());
  expect(await call).toMatchObject({ code: Code.Canceled });
  expect(ended).toHaveBeenCalledOnce();
});

test("an unknown method is unimplemented", async () => {
  const client = createClient(
    DeadLetterService,
    createInMemoryTransport(() => {}, called, calling),
  );
  expect(await client.listDeadLetters({}).catch(ConnectError.from)).toMatchObject({ code: Code.Unimplemented });
});

test("caller and method share no objects", async () => {
  const given = create(ListDeadLettersResponseSchema, { deadLetters: [{ deadLetterId: "1" }] });
  const giving = (router: ConnectRouter) =>
    void router.service(DeadLetterService, {
      listDeadLetters(request) {
        request.pageToken = "changed";
        return given;
      },
    });
  const client = createClient(DeadLetterService, createInMemoryTransport(giving, called, calling));
  const request = create(ListDeadLettersRequestSchema, { pageToken: "asked" });
  const { deadLetters } = await client.listDeadLetters(request);
  deadLetters[0]!.deadLetterId = "2";
  expect([request.pageToken, given.deadLetters[0]!.deadLetterId]).toEqual(["asked", "1"]);
});
