import { Code, ConnectError } from "@connectrpc/connect";
import { errorToJsonBytes } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { BadRequestSchema, ErrorInfoSchema, HelpSchema } from "@shop/gen/google/rpc/error_details_pb";
import fc from "fast-check";
import { expect, test } from "vitest";
import { boundedError } from "./bounded-error.ts";
import { errorResponse } from "./error.ts";
import { httpStatus, withHttpStatus } from "./http-status.ts";
import { maxErrorBytes } from "./refusal-limits.ts";

/** The bytes of an error in each protocol. */
function bytesOf(error: ConnectError): Record<string, number> {
  const trailers = setTrailerStatus(new Headers(), error);
  return {
    connect: errorToJsonBytes(error, undefined).byteLength,
    grpc: [...trailers].reduce((sum, [name, value]) => sum + name.length + value.length, 0),
    rest: errorResponse(error).body.byteLength,
  };
}

const text = fc.oneof(
  fc.string({ maxLength: 2_000 }),
  fc
    .constantFrom("\u0000", "a", '"', "é", "€", "😀", "\ud800")
    .chain((unit) => fc.nat(5_000).map((count) => unit.repeat(count))),
);
const violation = fc.record({ field: text, description: text, reason: fc.constant("string.pattern") });

test("any error is encoded in at most 16 KiB in every protocol", () => {
  fc.assert(
    fc.property(
      text,
      fc.array(violation, { maxLength: 60 }),
      fc.array(text, { maxLength: 4 }),
      (message, fieldViolations, more) => {
        const error = boundedError(
          new ConnectError(message, Code.InvalidArgument, undefined, [
            { desc: ErrorInfoSchema, value: { reason: "INVALID_FIELDS", domain: "shop.users.v1" } },
            { desc: BadRequestSchema, value: { fieldViolations } },
            { desc: HelpSchema, value: { links: more.map((url) => ({ url })) } },
          ]),
        );
        for (const [protocol, bytes] of Object.entries(bytesOf(error)))
          expect(bytes, protocol).toBeLessThan(maxErrorBytes);
        // The reason is always kept.
        expect(error.details[0]).toMatchObject({ value: { reason: "INVALID_FIELDS" } });
      },
    ),
    { numRuns: 60 },
  );
});

test("twenty violations of the schema's size are kept whole, and so is the HTTP status", () => {
  const fieldViolations = Array.from({ length: 30 }, (_, index) => ({
    field: `items[${index}].product_id`,
    description: "must be an id such as product_01h455vb4pex5vsknk084sn02q",
    reason: "string.pattern",
  }));
  const details = [{ desc: BadRequestSchema, value: { fieldViolations } }];
  const error = boundedError(withHttpStatus(new ConnectError("no", Code.InvalidArgument, undefined, details), 418));
  expect(error.details).toMatchObject([{ value: { fieldViolations: fieldViolations.slice(0, 20) } }]);
  expect(httpStatus(error)).toBe(418);
});

test("a small error is returned unchanged", () => {
  const error = new ConnectError("no", Code.NotFound);
  expect(boundedError(error)).toBe(error);
});

test("encoded details that do not fit are dropped", () => {
  const error = new ConnectError("no", Code.NotFound);
  error.details = [
    { type: "acme.Small", value: new Uint8Array(10) },
    { type: "acme.Large", value: new Uint8Array(20_000) },
  ];
  expect(boundedError(error).details).toMatchObject([{ type: "acme.Small" }]);
});
