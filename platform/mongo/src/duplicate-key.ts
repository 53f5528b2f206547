import { MongoServerError } from "mongodb";

/** Tells whether a write was refused by a unique index; with `index`, by that one. */
export function isDuplicateKey(error: unknown, index?: string): boolean {
  if (!(error instanceof MongoServerError) || error.code !== 11000) return false;
  return index === undefined || error.message.includes(` index: ${index} `);
}
