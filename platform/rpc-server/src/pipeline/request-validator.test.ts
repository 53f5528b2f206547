import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { expect, test } from "vitest";
import { openTestPort } from "../testing/test-port.ts";

const words = "must be a number of at most 15 digits";
const violation = { field: "dead_letter_id", description: words, reason: "string.pattern" };
const message = `dead_letter_id: ${words}`;

test.for([
  ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
] as const)(
  "a value that does not match its pattern is refused with a description of the pattern, over %s",
  async ([, open]) => {
    const { port } = await openTestPort();
    const client = createClient(DeadLetterService, open(`http://127.0.0.1:${port}`));
    const error = ConnectError.from(await client.getDeadLetter({ deadLetterId: "one" }).catch((thrown) => thrown));
    expect(error.rawMessage).toBe(message);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [violation] }]);
  },
);

test("a value that does not match its pattern is refused with a description of the pattern, over REST", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/admin/dead-letters/one`);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({
    message,
    details: expect.arrayContaining([
      { "@type": "type.googleapis.com/google.rpc.BadRequest", field_violations: [violation] },
    ]),
  });
});

test("other rules keep protovalidate's messages", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/admin/dead-letters?page_size=101&consumer=%20`);
  expect(await answer.json()).toMatchObject({
    message: "page_size: must be greater than or equal to 0 and less than or equal to 100, and 1 more violation",
  });
});
