import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { BadRequestSchema } from "@shop/gen/google/rpc/error_details_pb";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import {
  CreateProductRequestSchema,
  DecideOrdersRequestSchema,
  ImportProductsRequestSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect, test } from "vitest";
import { requestValidator } from "./request-validator.ts";
import { openTestPort } from "./testing/test-port.ts";

const words = "must be a number of at most 15 digits";
const violation = { field: "dead_letter_id", description: words, reason: "string.pattern" };
const message = `dead_letter_id: ${words} [string.pattern]`;

test.for([
  ["Connect", (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
] as const)("who sends what does not match a pattern reads in words what is expected, over %s", async ([, open]) => {
  const { port } = await openTestPort();
  const client = createClient(DeadLetterService, open(`http://127.0.0.1:${port}`));
  const error = ConnectError.from(await client.getDeadLetter({ deadLetterId: "one" }).catch((thrown) => thrown));
  expect(error.rawMessage).toBe(message);
  expect(error.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [violation] }]);
});

test("and over REST", async () => {
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

test("other rules, and their messages, stay", async () => {
  const { port } = await openTestPort();
  const answer = await fetch(`http://127.0.0.1:${port}/admin/dead-letters?page_size=101&consumer=%20`);
  expect(await answer.json()).toMatchObject({
    message:
      "page_size: must be greater than or equal to 0 and less than or equal to 100 [int32.gte_lte], and 1 more violation",
  });
});

const invalid = (result: ReturnType<typeof requestValidator.validate>) => {
  expect(result.kind).toBe("invalid");
  return (result.violations ?? []).map(({ field, ruleId }) => `${pathToString(field)} ${ruleId}`);
};

test("a list that is too long is said to be, and its items are not looked at", () => {
  const items = Array.from({ length: 101 }, () => ({ productId: "none", quantity: -1 }));
  const request = create(CreateOrderRequestSchema, { items });
  expect(invalid(requestValidator.validate(CreateOrderRequestSchema, request))).toEqual(["items repeated.max_items"]);
});

test("a map that is too large is said to be, and its pairs are not looked at", () => {
  const attributes = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`NO ${index}`, ""]));
  const request = create(CreateProductRequestSchema, { product: { attributes } });
  expect(invalid(requestValidator.validate(CreateProductRequestSchema, request))).toEqual([
    "product.attributes map.max_pairs",
  ]);
});

test("a text that is too long is said to be, and is not matched with its pattern", () => {
  const request = create(CreateProductRequestSchema, { product: { name: "\n".repeat(201) } });
  expect(invalid(requestValidator.validate(CreateProductRequestSchema, request))).toEqual([
    "product.name string.max_len",
  ]);
});

test("twenty violations are found, and no more", () => {
  const items = Array.from({ length: 50 }, () => ({ productId: "none", quantity: -1 }));
  const request = create(CreateOrderRequestSchema, { items });
  expect(invalid(requestValidator.validate(CreateOrderRequestSchema, request))).toHaveLength(20);
});

test("of a message with thousands of values the first violation is told", () => {
  const lines = Array.from({ length: 100 }, () => ({ productId: "any", quantity: 0 }));
  const orders = Array.from({ length: 200 }, () => ({ orderId: "order", lines }));
  const request = create(DecideOrdersRequestSchema, { orders });
  expect(invalid(requestValidator.validate(DecideOrdersRequestSchema, request))).toHaveLength(1);
});

test("the key of a map is told in 200 characters", () => {
  const request = create(CreateProductRequestSchema, { product: { attributes: { ["é".repeat(1_000)]: "red" } } });
  const result = requestValidator.validate(CreateProductRequestSchema, request);
  expect(result.error?.message.match(/é/g)).toHaveLength(200);
});

test("a field that the schema leaves to its method is not measured", () => {
  const attributes = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`key_${index}`, "red"]));
  const request = create(ImportProductsRequestSchema, { product: { attributes } });
  expect(requestValidator.validate(ImportProductsRequestSchema, request).kind).toBe("valid");
});
