import { randomBytes } from "node:crypto";
import { typeidUnboxed } from "typeid-js";

/** A new TypeID over UUIDv7: prefixed, sortable by time of making, with 74 random bits. */
export function newId(prefix: string): string {
  return typeidUnboxed(prefix);
}

/** 256 random bits, base64url. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}
