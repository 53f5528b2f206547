import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { afterEach, expect, test, vi } from "vitest";
import { createLazyContext } from "../fast-path/lazy-context.ts";

// Calls share a timer: load a fresh module, so that its timer belongs to this test's fake clock and was not started by another
// file.
vi.resetModules();
const { callerTimeoutMs, deadlineInterceptor } = await import("./deadlines.ts");
const { errorsInterceptor } = await import("./errors.ts");

afterEach(() => {
  vi.useRealTimers();
});

/** Methods that never answer, like those that wait for a hanging database. */
const hanging = createClient(
  DeadLetterService,
  createRouterTransport(
    (router) =>
      router.service(DeadLetterService, {
        listDeadLetters: () => new Promise(() => {}),
        redriveDeadLetter: () => new Promise(() => {}),
      }),
    { router: { interceptors: [errorsInterceptor(), deadlineInterceptor()] } },
  ),
);

test("a read that waits for a hanging database ends within 5 s, a write within 6 s, and only the write may have taken effect", async () => {
  vi.useFakeTimers();
  const [read, write] = [hanging.listDeadLetters({}), hanging.redriveDeadLetter({ deadLetterId: "1" })].map((call) =>
    call.then(
      () => undefined,
      (reason) => ConnectError.from(reason),
    ),
  );
  await vi.advanceTimersByTimeAsync(4_800);
  const ofRead = (await Promise.race([read, "late"])) as ConnectError;
  expect(ofRead).toMatchObject({ code: Code.Unavailable, rawMessage: "the service did not answer in time" });
  expect(ofRead.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "DEPENDENCY_UNAVAILABLE" }]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await Promise.race([write, "late"])).toMatchObject({
    code: Code.Unavailable,
    rawMessage: "the service did not answer in time, and may have done what was asked",
  });
});

test("a call ends at its caller's deadline if that is sooner", async () => {
  const error = await hanging.listDeadLetters({}, { timeoutMs: 100 }).catch((reason) => ConnectError.from(reason));
  expect(error).toMatchObject({ code: Code.DeadlineExceeded });
});

test("a deadline beyond the range of timers does not end the call at once", async () => {
  vi.useFakeTimers();
  const context = createLazyContext({
    method: DeadLetterService.method.listDeadLetters,
    protocolName: "rest",
    requestMethod: "GET",
    url: "http://rest/",
    header: new Headers(),
    timeoutMs: 9_999_999_999,
    onCallerGone() {},
  });
  const { signal } = context;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(signal.aborted).toBe(false);
  context.end();
});

test.each([
  [{ "grpc-timeout": "3S" }, 3_000],
  [{ "grpc-timeout": "99999999H" }, 99_999_999 * 3_600_000],
  [{ "connect-timeout-ms": "250" }, 250],
  [{ "connect-timeout-ms": "soon" }, undefined],
  [{ "grpc-timeout": "-1S" }, undefined],
  [{}, undefined],
])("the deadline in %j is %j ms", (headers, expected) => {
  expect(callerTimeoutMs(headers)).toBe(expected);
});
