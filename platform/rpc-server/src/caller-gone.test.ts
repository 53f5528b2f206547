import { once } from "node:events";
import { request } from "node:http";
import { Code } from "@connectrpc/connect";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, test, vi } from "vitest";
import { errorsInterceptor } from "./pipeline/errors.ts";
import type { PortMetrics } from "./port-metrics.ts";
import { openTestPort } from "./testing/test-port.ts";

test.each([true, false])(
  "a call whose caller goes away is canceled, not an internal error; fast path: %s",
  async (fastPath) => {
    const called = vi.fn<PortMetrics["called"]>();
    const metrics: PortMetrics = { called, connectionRefused() {}, bytesRefused() {}, networkError() {} };
    const started = Promise.withResolvers<void>();
    const { port } = await openTestPort({
      metrics,
      fastPath,
      hosted: () => (router) =>
        router.service(DeadLetterService, {
          async getDeadLetter(_, { signal }) {
            started.resolve();
            await once(signal, "abort");
            throw signal.reason;
          },
        }),
    });
    const body = JSON.stringify({ deadLetterId: "1" });
    const path = `/${DeadLetterService.typeName}/GetDeadLetter`;
    const headers = { "content-type": "application/json", "content-length": body.length };
    const call = request({ port, path, method: "POST", headers });
    call.on("error", () => {}).end(body);
    await started.promise;
    call.destroy();
    await vi.waitFor(() => expect(called).toHaveBeenCalled());
    expect(called.mock.calls.map(([, code]) => code)).toEqual(["canceled"]);
  },
);

test("the same for a stream", async () => {
  async function* aborted() {
    yield {};
    throw new DOMException("This operation was aborted", "AbortError");
  }
  const call = errorsInterceptor()(async () => ({ stream: true, message: aborted() }) as never);
  const { message } = await call({ service: DeadLetterService, signal: AbortSignal.abort() } as never);
  await expect(Array.fromAsync(message as AsyncIterable<unknown>)).rejects.toMatchObject({ code: Code.Canceled });
});
