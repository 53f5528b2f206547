import { accessTokenSeconds } from "@shop/auth";

/** A token may be issued for an account version read just before its revocation; and clocks differ. */
const marginMs = 60_000;

/** How long a revocation is needed: until all tokens it applies to have expired. */
export const revocationsRetentionMs = accessTokenSeconds * 1000 + marginMs;

export const revocationStream = "access-revocations";
