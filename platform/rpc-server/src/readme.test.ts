import type { ConnectRouter } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, onTestFinished, test } from "vitest";

interface Example {
  serve(
    service: typeof DeadLetterService,
    routes: (router: ConnectRouter) => void,
  ): Promise<{ app: { close(): Promise<void> }; url: string }>;
}

test("the README's example serves a service to a caller with the token", async () => {
  const { serve } = await readmeExample<Example>("@shop/rpc-server", import.meta.dirname);
  const routes = (router: ConnectRouter) => void router.service(DeadLetterService, { listDeadLetters: () => ({}) });
  const { app, url } = await serve(DeadLetterService, routes);
  onTestFinished(() => app.close());

  const headers = { authorization: "Bearer let me in" };
  for (const transport of [
    createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    createGrpcTransport({ baseUrl: url }),
  ]) {
    const client = createClient(DeadLetterService, transport);
    expect(await client.listDeadLetters({}, { headers })).toMatchObject({ deadLetters: [] });
    await expect(client.listDeadLetters({})).rejects.toThrow("[unauthenticated] no");
  }
});
