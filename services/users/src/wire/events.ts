import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { type PendingEvent, pendingEvent } from "@shop/platform";
import type { Session } from "../domain/session.ts";
import type { User } from "../domain/user.ts";

const service = "users";

/** Tells that a session has ended: its access tokens are good no more. */
export function sessionEndedEvent({ sessionId, userId }: Session, time: Date): PendingEvent {
  const message = { userId, sessionId, time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: sessionId, version: 1, time });
}

/** Tells that access tokens of earlier versions of the account are good no more. */
export function accessRevokedEvent({ userId, version }: User, time: Date): PendingEvent {
  const message = { userId, version: BigInt(version), time: timestampFromDate(time) };
  return pendingEvent(AccessRevokedSchema, message, { service, aggregateId: userId, version, time });
}
