import { timestampDate } from "@bufbuild/protobuf/wkt";
import { accessTokenSeconds, type Revocations } from "@shop/auth";
import type { Logger } from "@shop/core";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { type Bus, type Follower, startFollower } from "@shop/messaging";

/** A token may be issued, for what was read before, a moment after it was revoked; and clocks differ. */
const marginMs = 60_000;

/** So long a revocation matters. */
export const revocationsKeptMs = accessTokenSeconds * 1000 + marginMs;

export const revocationStream = "access-revocations";

/** Makes the stream, which keeps no more than what a process that starts has to know. */
export async function ensureRevocations(bus: Bus): Promise<void> {
  await bus.ensureStream(revocationStream, [AccessRevokedSchema.typeName], revocationsKeptMs);
}

/**
 * Adds what is revoked anywhere, from now on and for as long back as it matters; resolves once it has caught up.
 */
export async function followRevocations(bus: Bus, revocations: Revocations, log: Logger): Promise<Follower> {
  await ensureRevocations(bus);
  return await startFollower(bus, revocationStream, AccessRevokedSchema, log, (revoked) => {
    const { userId, sessionId, version, time } = revoked;
    revocations.add({ userId, sessionId, version: Number(version), time: time ? timestampDate(time) : new Date() });
  });
}
