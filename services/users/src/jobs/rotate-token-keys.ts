import type { Job } from "@shop/core";
import type { TokenKeys } from "../application/token-keys.ts";

const maxIntervalMs = 60_000;

/** How often keys are looked at: several times in the time that the next one is known before it signs. */
const intervalMs = (keys: TokenKeys) => Math.min(maxIntervalMs, keys.rotation.leadMs / 4);

/** Makes the next key in time; one process does, by lease. */
export function rotateTokenKeys(on: { readonly tokenKeys: TokenKeys }): Omit<Job, "lease"> {
  return { name: "rotate-token-keys", intervalMs: intervalMs(on.tokenKeys), run: on.tokenKeys.rotate };
}

/** Learns of the keys that another process has made; every process does. */
export function readTokenKeys(on: { readonly tokenKeys: TokenKeys }): Job {
  return { name: "read-token-keys", intervalMs: intervalMs(on.tokenKeys), run: on.tokenKeys.read };
}
