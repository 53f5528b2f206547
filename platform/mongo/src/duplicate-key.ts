import { MongoServerError } from "mongodb";

/**
 * Tells whether a write was refused by a unique index; with `index`, by that one. Its name is read from the server's message: of the
 * errors of a bulk write the driver (7.9) keeps nothing else that tells indexes apart. A test compares both with the server in use.
 */
export function isDuplicateKey(error: unknown, index?: string): boolean {
  if (!(error instanceof MongoServerError) || error.code !== 11000) return false;
  return index === undefined || error.message.includes(` index: ${index} `);
}
