import type { Job } from "@shop/core";
import type { TokenKeys } from "../application/token-keys.ts";

const maxIntervalMs = 60_000;

/** Several times within the lead time, so that every process reads the next key before it signs. */
const intervalMs = (keys: TokenKeys) => Math.min(maxIntervalMs, keys.rotation.leadMs / 4);

/** Generates the next key when it is due, in one process by a lease. */
export function rotateTokenKeys(on: { readonly tokenKeys: TokenKeys }): Omit<Job, "lease"> {
  return { name: "rotate-token-keys", intervalMs: intervalMs(on.tokenKeys), run: on.tokenKeys.rotate };
}

/** Reads keys that another process generated. Runs in every process, so it has no lease. */
export function readTokenKeys(on: { readonly tokenKeys: TokenKeys }): Job {
  return { name: "read-token-keys", intervalMs: intervalMs(on.tokenKeys), run: on.tokenKeys.read };
}
