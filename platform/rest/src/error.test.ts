import { create, createRegistry, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { AnySchema, DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { errorResponse } from "./error.ts";
import { BadRequestSchema, RetryInfoSchema, ViolationsSchema } from "./google-types.ts";
import { withHttpStatus } from "./http-status.ts";
import { testMessage } from "./testdata/descriptors.ts";

function answer(error: unknown, registry = createRegistry()) {
  const { status, headers, body } = errorResponse(error, { registry, useProtoFieldName: true });
  return { status, headers, json: JSON.parse(new TextDecoder().decode(body)) as JsonObject };
}

type Details = ConstructorParameters<typeof ConnectError>[3];
const failed = (details: Details, code = Code.NotFound) => new ConnectError("no", code, undefined, details);

describe("errorResponse", () => {
  // google/rpc/code.proto, "HTTP Mapping".
  it.each([
    [Code.Canceled, 1, 499],
    [Code.Unknown, 2, 500],
    [Code.InvalidArgument, 3, 400],
    [Code.DeadlineExceeded, 4, 504],
    [Code.NotFound, 5, 404],
    [Code.AlreadyExists, 6, 409],
    [Code.PermissionDenied, 7, 403],
    [Code.ResourceExhausted, 8, 429],
    [Code.FailedPrecondition, 9, 400],
    [Code.Aborted, 10, 409],
    [Code.OutOfRange, 11, 400],
    [Code.Unimplemented, 12, 501],
    [Code.Internal, 13, 500],
    [Code.Unavailable, 14, 503],
    [Code.DataLoss, 15, 500],
    [Code.Unauthenticated, 16, 401],
  ])("answers code %i as Status %i under HTTP %i", (code, number, status) => {
    const response = answer(new ConnectError("why", code));
    expect([response.status, response.json]).toEqual([status, { code: number, message: "why", details: [] }]);
    expect(response.headers["content-type"]).toBe("application/json");
    expect(response.headers["www-authenticate"]).toBe(code === Code.Unauthenticated ? "Bearer" : undefined);
  });

  it("hides errors that are not ConnectErrors", () => {
    for (const reason of [new Error("password=1"), "password=1", undefined, null, { password: 1 }]) {
      const response = answer(reason);
      expect([response.status, response.json]).toEqual([500, { code: 13, message: "internal error", details: [] }]);
    }
    expect(answer(new DOMException("gone", "AbortError")).status).toBe(499);
  });

  it("keeps an HTTP status given for it", () => {
    const response = answer(withHttpStatus(new ConnectError("big", Code.ResourceExhausted), 413));
    expect([response.status, response.json.code]).toEqual([413, 8]);
  });

  it("writes details with their type, outgoing ones without a registry", () => {
    const bytes = toBinary(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [{ field: "a" }] }));
    expect(
      answer(
        failed([
          { desc: BadRequestSchema, value: { fieldViolations: [{ field: "b", description: "d" }] } },
          { desc: testMessage("library.v1.Shelf"), value: { name: "shelves/1", capacity: 3n } as never },
          { desc: DurationSchema, value: { seconds: 3n } as never },
        ]),
      ).json.details,
    ).toEqual([
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        field_violations: [{ field: "b", description: "d" }],
      },
      { "@type": "type.googleapis.com/library.v1.Shelf", name: "shelves/1", capacity: "3" },
      { "@type": "type.googleapis.com/google.protobuf.Duration", value: "3s" },
    ]);
    const incoming = failed([]);
    incoming.details.push({ type: "google.rpc.BadRequest", value: bytes });
    expect(answer(incoming).json.details).toEqual([
      { "@type": "type.googleapis.com/google.rpc.BadRequest", field_violations: [{ field: "a" }] },
    ]);
  });

  // grpc-gateway #1842
  it("keeps the error if a detail's type is not in the registry, its bytes are invalid, or contain such a type", () => {
    const error = failed([{ desc: AnySchema, value: { typeUrl: "type.googleapis.com/not.Known" } as never }]);
    error.details.push({ type: "not.Known", value: Uint8Array.from([1, 2, 3]) });
    error.details.push({ type: "google.rpc.RetryInfo", value: Uint8Array.from([255, 255]) });
    error.details.push({ type: "buf.validate.Violations", value: Uint8Array.from([255]) });
    const response = answer(error);
    expect([response.status, response.json.code, response.headers["retry-after"]]).toEqual([404, 5, undefined]);
    expect(response.json.details).toEqual([
      { "@type": "type.googleapis.com/google.protobuf.Any", value: expect.any(String) },
      { "@type": "type.googleapis.com/not.Known", value: "AQID" },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", value: "//8=" },
      { "@type": "type.googleapis.com/buf.validate.Violations", value: "/w==" },
    ]);
  });

  it("uses the registry for encoded details", () => {
    const shelf = testMessage("library.v1.Shelf");
    const error = failed([]);
    error.details.push({
      type: shelf.typeName,
      value: toBinary(shelf, create(shelf, { name: "n" } as never)),
    });
    expect(answer(error, createRegistry(shelf)).json.details).toEqual([
      { "@type": "type.googleapis.com/library.v1.Shelf", name: "n" },
    ]);
  });

  it("turns RetryInfo into Retry-After, in whole seconds, rounded up", () => {
    const retry = (seconds: bigint, nanos: number) =>
      answer(failed([{ desc: RetryInfoSchema, value: { retryDelay: { seconds, nanos } } }])).headers["retry-after"];
    expect([retry(3n, 0), retry(0n, 1), retry(1n, 500_000_000), retry(-1n, 0)]).toEqual(["3", "1", "2", "0"]);
    expect(answer(failed([])).headers["retry-after"]).toBeUndefined();
  });

  it("converts buf.validate.Violations to google.rpc.BadRequest, encoded or not", () => {
    const violations = create(ViolationsSchema, {
      violations: [
        {
          field: {
            elements: [
              { fieldName: "items", subscript: { case: "index", value: 2n } },
              { fieldName: "labels", subscript: { case: "stringKey", value: "a" } },
              { fieldName: "name" },
            ],
          },
          ruleId: "string.min_len",
          message: "must be at least 1 character",
        },
        { ruleId: "cel", message: "whole" },
      ],
    });
    const expected = [
      {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        field_violations: [
          {
            field: 'items[2].labels["a"].name',
            description: "must be at least 1 character",
            reason: "string.min_len",
          },
          { description: "whole", reason: "cel" },
        ],
      },
    ];
    expect(answer(failed([{ desc: ViolationsSchema, value: violations }])).json.details).toEqual(expected);
    const incoming = failed([]);
    incoming.details.push({ type: ViolationsSchema.typeName, value: toBinary(ViolationsSchema, violations) });
    expect(answer(incoming).json.details).toEqual(expected);
  });

  it("passes metadata on as headers, except those about connection and encoding", () => {
    const error = new ConnectError("no", Code.Unauthenticated, {
      "x-reason": "r",
      "www-authenticate": 'Bearer error="invalid_token"',
      connection: "close",
      "content-length": "1",
      "content-type": "application/grpc",
      "grpc-status": "5",
      "transfer-encoding": "chunked",
    });
    error.metadata.append("set-cookie", "a=1");
    error.metadata.append("set-cookie", "b=2");
    const { headers } = answer(error);
    expect(headers).toEqual({
      "content-type": "application/json",
      "content-length": headers["content-length"],
      "x-reason": "r",
      "www-authenticate": 'Bearer error="invalid_token"',
      "set-cookie": ["a=1", "b=2"],
    });
  });
});
