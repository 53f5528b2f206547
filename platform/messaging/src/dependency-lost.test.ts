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
  ["no primary to be found", new MongoServerSelectionError("none", {} as never)],
  [
    "a socket that was ended",
    Object.assign(new Error("This socket has been ended by the other party"), { code: "EPIPE" }),
  ],
  ["a primary that stepped down", new MongoServerError({ message: "not primary", code: 10107 })],
  ["a bulk write that no single write made fail", bulk([])],
  ["a bus that does not answer", new errors.TimeoutError()],
  ["a bus whose connection closed", new errors.ClosedConnectionError()],
  ["a bus that nobody answers for", new errors.NoRespondersError("shop.test")],
  [
    "a stream that is not there",
    new JetStreamApiError({ code: 404, err_code: 10059, description: "stream not found" }),
  ],
  ["a neighbour that is down", new ConnectError("down", Code.Unavailable)],
  ["a neighbour that is too slow", new ConnectError("slow", Code.DeadlineExceeded)],
  [
    "a neighbour that died during the call",
    new ConnectError(
      "socket hang up",
      Code.Aborted,
      undefined,
      undefined,
      Object.assign(new Error(), { code: "ECONNRESET" }),
    ),
  ],
  ["our own word for it", new DomainError("unavailable", "TEST", "down")],
])("%s is a lost dependency", (_what, error) => {
  expect(isDependencyLost(error)).toBe(true);
});

test.each([
  ["a duplicate key", new MongoServerError({ message: "E11000", code: 11000 })],
  ["a bulk write of which one write failed", bulk([{ code: 11000 }])],
  ["a refusal of a neighbour", new ConnectError("no", Code.InvalidArgument)],
  ["a rule", new DomainError("failed_precondition", "TEST", "no")],
  ["an event that no server takes", errors.InvalidArgumentError.format("payload", "max_payload size exceeded")],
  ["a mistake in the code", new TypeError("undefined is not a function")],
])("%s is not", (_what, error) => {
  expect(isDependencyLost(error)).toBe(false);
});
