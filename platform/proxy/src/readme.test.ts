import type { DescService } from "@bufbuild/protobuf";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { listen, type RpcServer } from "@shop/rpc-server";
import { expect, onTestFinished, test } from "vitest";

type Example = { gatewayFor(service: DescService, urls: readonly string[]): Promise<RpcServer> };

test("the README's example forwards calls to the available replica", async () => {
  const upstream = await listen({
    name: "upstream",
    services: [DeadLetterService],
    hosted: () => (router) => router.service(DeadLetterService, { listDeadLetters: () => ({ nextPageToken: "more" }) }),
    authorize: async () => ({}),
  });
  const { gatewayFor } = await readmeExample<Example>("@shop/proxy", import.meta.dirname);
  const gateway = await gatewayFor(DeadLetterService, ["http://127.0.0.1:1", `http://127.0.0.1:${upstream.port}`]);
  onTestFinished(async () => {
    await gateway.close();
    await upstream.close();
  });
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/${DeadLetterService.typeName}/ListDeadLetters`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  expect(await answer.json()).toEqual({ nextPageToken: "more" });
});
