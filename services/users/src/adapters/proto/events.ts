import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/messaging";
import type { Session } from "../../domain/session.ts";
import type { User } from "../../domain/user.ts";

const service = "users";

/** Tells that a session has ended: its access tokens are good no more. */
export function sessionEndedEvent(
  { sessionId, userId }: Pick<Session, "sessionId" | "userId">,
  time: Date,
): PendingEvent {
  const message = { userId, sessionId, time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: sessionId, version: 1, time });
}

/** Tells that access tokens of earlier versions of the account than this one are good no more. */
export function accessRevokedEvent({ userId, version }: Pick<User, "userId" | "version">, time: Date): PendingEvent {
  const message = { userId, version: BigInt(version), time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: userId, version, time });
}

/** Tells that the account is gone. To be told once nobody can act for it any more: `time` is when. */
export function userDeletedEvent({ userId, version }: Pick<User, "userId" | "version">, time: Date): PendingEvent {
  return pendingEvent(UserDeletedSchema, { userId }, { service, aggregateId: userId, version: version + 1, time });
}
