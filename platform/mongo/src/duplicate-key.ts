import { MongoServerError } from "mongodb";

/**
 * Whether a write was refused by a unique index; with `index`, by that one. The index name is parsed from the server's message,
 * because the driver (7.9) keeps nothing else that identifies the index in errors of bulk writes. A test checks both against the
 * server in use.
 */
export function isDuplicateKey(error: unknown, index?: string): boolean {
  if (!(error instanceof MongoServerError) || error.code !== 11000) return false;
  return index === undefined || error.message.includes(` index: ${index} `);
}
