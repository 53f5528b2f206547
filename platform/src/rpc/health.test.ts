import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect, test } from "vitest";
import { openTestPort } from "./testing/test-port.ts";

test("/readyz names everything that is missing, and each thing once", async () => {
  const missing = ["NATS is not there", "MongoDB has no primary"];
  const { port } = await openTestPort({
    missing: async () => [...missing, missing[0]!],
    services: [DeadLetterService, TokenKeyService],
    hosted: () => undefined,
    neighbours: [
      { service: DeadLetterService, urls: ["http://127.0.0.1:1"] },
      { service: TokenKeyService, urls: ["http://127.0.0.1:1"] },
    ],
  });
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: "not ready",
    missing: [...missing, `${DeadLetterService.typeName} is not ready`, `${TokenKeyService.typeName} is not ready`],
  });
});

test("/readyz is 200 where nothing is missing", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([answer.status, await answer.json()]).toEqual([200, { status: "ready" }]);
});
