import { randomBytes } from "node:crypto";
import { fromUUID, typeidUnboxed } from "typeid-js";

/** A new TypeID of a UUIDv7: prefixed, sortable by creation time, with 74 random bits. */
export function newId(prefix: string): string {
  return typeidUnboxed(prefix);
}

const maxTime = 2 ** 48 - 1;

/** The lower bound of all ids created at `time` or later. */
export function firstIdAt(prefix: string, time: Date): string {
  const hex = Math.min(Math.max(0, time.getTime()), maxTime).toString(16).padStart(12, "0");
  return fromUUID(`${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`, prefix);
}

/** 256 random bits, base64url. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}
