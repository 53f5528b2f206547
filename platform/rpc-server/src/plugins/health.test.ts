import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { expect, test } from "vitest";
import { openTestPort } from "../testing/test-port.ts";

test("/readyz lists all reasons why the services of its port are not ready", async () => {
  const { port } = await openTestPort({
    missing: async (services) => [
      "MongoDB has no primary",
      ...services.map(({ typeName }) => `${typeName} is not ready`),
    ],
    services: [DeadLetterService, TokenKeyService],
    hosted: (service) => (router) => router.service(service, {}),
  });
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    status: "not ready",
    missing: [
      "MongoDB has no primary",
      `${DeadLetterService.typeName} is not ready`,
      `${TokenKeyService.typeName} is not ready`,
    ],
  });
});

test("a port that is about to close is not ready, and serves calls until it closes", async () => {
  const server = await openTestPort();
  server.announceClose();
  const [ready, call] = await Promise.all([
    fetch(`http://127.0.0.1:${server.port}/readyz`),
    fetch(`http://127.0.0.1:${server.port}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    }),
  ]);
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: "not ready", missing: ["the process is stopping"] },
  ]);
  expect([call.status, await call.json()]).toEqual([200, { status: "NOT_SERVING" }]);
});

test("/readyz is 200 if nothing is missing", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`);
  expect([answer.status, await answer.json()]).toEqual([200, { status: "ready" }]);
});
