import { once } from "node:events";
import { request } from "node:http";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, test, vi } from "vitest";
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
