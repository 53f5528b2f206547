import { isUnavailable } from "@shop/rpc-server";
import { MongoBulkWriteError, MongoError, MongoServerError } from "mongodb";
import { isBusError } from "./bus/bus-errors.ts";

/** Server errors of MongoDB that pass: no primary, stepping down, shutting down, a write concern that timed out. */
const passingMongoCodes = new Set([6, 7, 50, 64, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436]);

/**
 * Tells whether an error means that a dependency (database, bus, neighbour) is not there just now, rather than that the
 * work itself is wrong. The work is unknown to have happened or not; doing it again is right once the dependency is back.
 */
export function isDependencyLost(error: unknown): boolean {
  if (isUnavailable(error) || isBusError(error)) return true;
  // A bulk write that no single write made fail: the connection or the write concern did (the driver wraps either).
  if (error instanceof MongoBulkWriteError && [error.writeErrors].flat().length === 0) return true;
  if (error instanceof MongoServerError) {
    return error.hasErrorLabel("RetryableWriteError") || passingMongoCodes.has(Number(error.code));
  }
  return (
    error instanceof MongoError &&
    error.name.match(/Network|ServerSelection|Timeout|PoolCleared|Topology|NotConnected/) !== null
  );
}
