import { Code, ConnectError } from "@connectrpc/connect";
import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { DomainError } from "@shop/core";
import { MongoBulkWriteError, MongoNetworkError, MongoServerError, MongoServerSelectionError } from "mongodb";
import { expect, test } from "vitest";
import { isDependencyLost } from "./dependency-lost.ts";

const bulk = (writeErrors: object[]) =>
  Object.assign(new MongoBulkWriteError({ message: "bulk", code: 0 }, {} as never), { writeErrors });

test.each([
  ["a connection that broke", new MongoNetworkError("reset")],
  ["no reachable primary", new MongoServerSelectionError("none", {} as never)],
  [
    "a socket that was ended",
    Object.assign(new Error("This socket has been ended by the other party"), { code: "EPIPE" }),
  ],
  ["a primary that stepped down", new MongoServerError({ message: "not primary", code: 10107 })],
  ["a bulk write error without a write error", bulk([])],
  ["a bus that does not answer", new errors.TimeoutError()],
  ["a bus whose connection closed", new errors.ClosedConnectionError()],
  ["a subject without responders", new errors.NoRespondersError("shop.test")],
  ["a missing stream", new JetStreamApiError({ code: 404, err_code: 10059, description: "stream not found" })],
  ["another service that is down", new ConnectError("down", Code.Unavailable)],
  ["another service that is too slow", new ConnectError("slow", Code.DeadlineExceeded)],
  [
    "another service that died during the call",
    new ConnectError(
      "socket hang up",
      Code.Aborted,
      undefined,
      undefined,
      Object.assign(new Error(), { code: "ECONNRESET" }),
    ),
  ],
  ["a domain error of kind unavailable", new DomainError("unavailable", "TEST", "down")],
])("%s is a lost dependency", (_what, error) => {
  expect(isDependencyLost(error)).toBe(true);
});

test.each([
  ["a duplicate key", new MongoServerError({ message: "E11000", code: 11000 })],
  ["a bulk write with a write error", bulk([{ code: 11000 }])],
  ["a refusal by another service", new ConnectError("no", Code.InvalidArgument)],
  ["a violated rule", new DomainError("failed_precondition", "TEST", "no")],
  [
    "an event that is too large for the server",
    errors.InvalidArgumentError.format("payload", "max_payload size exceeded"),
  ],
  ["a programming error", new TypeError("undefined is not a function")],
])("%s is not a lost dependency", (_what, error) => {
  expect(isDependencyLost(error)).toBe(false);
});
