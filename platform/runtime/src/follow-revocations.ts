import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Revocations } from "@shop/auth";
import type { Logger } from "@shop/core";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { type Bus, type Follower, startFollower } from "@shop/messaging";
import { revocationStream, revocationsRetentionMs } from "./revocation-stream.ts";

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
