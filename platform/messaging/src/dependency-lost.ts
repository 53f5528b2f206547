import { isUnavailable } from "@shop/rpc-server";
import { MongoBulkWriteError, MongoError, MongoServerError } from "mongodb";
import { isBusError } from "./bus/bus-errors.ts";

/** Transient server errors of MongoDB: no primary, stepping down, shutting down, a write concern that timed out. */
const passingMongoCodes = new Set([6, 7, 50, 64, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436]);

/**
 * Whether an error means that a dependency (database, bus, another service) is currently unavailable, rather than that the work
 * itself failed. The work may or may not have been done; a retry is right once the dependency is back.
 */
export function isDependencyLost(error: unknown): boolean {
  if (isUnavailable(error) || isBusError(error)) return true;
  // A bulk write error without a write error: the connection or the write concern failed (the driver wraps either).
  if (error instanceof MongoBulkWriteError && [error.writeErrors].flat().length === 0) return true;
  if (error instanceof MongoServerError) {
    return error.hasErrorLabel("RetryableWriteError") || passingMongoCodes.has(Number(error.code));
  }
  return (
    error instanceof MongoError &&
    error.name.match(/Network|ServerSelection|Timeout|PoolCleared|Topology|NotConnected/) !== null
  );
}
