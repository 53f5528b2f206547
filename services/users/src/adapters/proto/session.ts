import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { SessionSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import type { Session } from "../../domain/session.ts";

export function toSessionMessage(session: Session, currentId: string): MessageInitShape<typeof SessionSchema> {
  return {
    sessionId: session.sessionId,
    current: session.sessionId === currentId,
    userAgent: session.userAgent,
    createTime: timestampFromDate(session.createTime),
    lastUseTime: timestampFromDate(session.lastUseTime),
    expireTime: timestampFromDate(session.expireTime),
  };
}
