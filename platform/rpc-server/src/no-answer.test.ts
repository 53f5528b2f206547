import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, onTestFinished, test } from "vitest";
import { forwarding, openTestPort } from "./testing/test-port.ts";

/** A port that forwards to the service at `url`. */
async function openGateway(url: string): Promise<string> {
  const { port } = await openTestPort(forwarding(url));
  return `http://127.0.0.1:${port}`;
}

/** Accepts every request and breaks its connection. */
async function openBreaker(): Promise<string> {
  const server = createServer((request) => request.socket.destroy()).listen(0, "127.0.0.1");
  server.on("connection", (socket) => socket.on("error", () => {}));
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const connect = (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" });
const grpc = (baseUrl: string) => createGrpcTransport({ baseUrl });

test.each([
  ["that cannot have taken effect", "SERVICE_UNREACHABLE", async () => "http://127.0.0.1:1", [connect, grpc]],
  ["that may have taken effect", "DEPENDENCY_UNAVAILABLE", openBreaker, [connect]],
])("a forwarded call %s fails with the reason %s and a retry delay", async (_what, reason, open, transports) => {
  const baseUrl = await openGateway(await open());
  for (const transport of transports) {
    const { redriveDeadLetter } = createClient(DeadLetterService, transport(baseUrl));
    const error = ConnectError.from(await redriveDeadLetter({ deadLetterId: "1" }).catch((thrown) => thrown));
    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "shop.common.v1" }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
  }
  const answer = await fetch(`${baseUrl}/admin/dead-letters/1:redrive`, { method: "POST" });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(await answer.json()).toMatchObject({ code: 14, details: [{ reason }, { retry_delay: "1s" }] });
});
