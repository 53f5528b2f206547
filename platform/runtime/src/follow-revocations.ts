import { timestampDate } from "@bufbuild/protobuf/wkt";
import { accessTokenSeconds, type Revocations } from "@shop/auth";
import type { Logger } from "@shop/core";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { type Bus, type Follower, startFollower } from "@shop/messaging";

/** A token may be issued for an account version read just before its revocation; and clocks differ. */
const marginMs = 60_000;

/** How long a revocation is needed: until all tokens it applies to have expired. */
export const revocationsRetentionMs = accessTokenSeconds * 1000 + marginMs;

export const revocationStream = "access-revocations";

/** Creates the stream, which retains only the revocations that a starting process needs. */
export async function ensureRevocations(bus: Bus): Promise<void> {
  await bus.ensureStream(revocationStream, [AccessRevokedSchema.typeName], revocationsRetentionMs);
}

/** Adds all revocations that are still needed, and new ones as they are published; resolves once it has caught up. */
export async function followRevocations(bus: Bus, revocations: Revocations, log: Logger): Promise<Follower> {
  await ensureRevocations(bus);
  return await startFollower(bus, revocationStream, AccessRevokedSchema, log, (revoked) => {
    const { userId, sessionId, version, time } = revoked;
    revocations.add({ userId, sessionId, version: Number(version), time: time ? timestampDate(time) : new Date() });
  });
}
