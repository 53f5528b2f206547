import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/messaging";
import type { Session } from "../../domain/session.ts";
import type { User } from "../../domain/user.ts";

const service = "users";

/** Revokes the access tokens of a session. */
export function sessionEndedEvent(
  { sessionId, userId }: Pick<Session, "sessionId" | "userId">,
  time: Date,
): PendingEvent {
  const message = { userId, sessionId, time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: sessionId, version: 1, time });
}

/** Revokes the access tokens of versions of the account before this one. */
export function accessRevokedEvent({ userId, version }: Pick<User, "userId" | "version">, time: Date): PendingEvent {
  const message = { userId, version: BigInt(version), time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: userId, version, time });
}

/** UserDeleted. @param time when to publish it: after all services refuse the account's access tokens */
export function userDeletedEvent({ userId, version }: Pick<User, "userId" | "version">, time: Date): PendingEvent {
  return pendingEvent(UserDeletedSchema, { userId }, { service, aggregateId: userId, version: version + 1, time });
}
