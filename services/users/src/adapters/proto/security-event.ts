import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { SecurityEventKind as KindOnTheWire, type SecurityEventSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import type { SecurityEvent, SecurityEventKind } from "../../domain/security-event.ts";

const kinds: Readonly<Record<SecurityEventKind, KindOnTheWire>> = {
  signed_in: KindOnTheWire.SIGNED_IN,
  sign_in_failed: KindOnTheWire.SIGN_IN_FAILED,
  refresh_token_reused: KindOnTheWire.REFRESH_TOKEN_REUSED,
  signed_out_everywhere: KindOnTheWire.SIGNED_OUT_EVERYWHERE,
  password_changed: KindOnTheWire.PASSWORD_CHANGED,
  password_refused: KindOnTheWire.PASSWORD_REFUSED,
  roles_set: KindOnTheWire.ROLES_SET,
  disabled: KindOnTheWire.DISABLED,
  enabled: KindOnTheWire.ENABLED,
  deleted: KindOnTheWire.DELETED,
  password_reset: KindOnTheWire.PASSWORD_RESET,
};

export function toSecurityEventMessage(event: SecurityEvent): MessageInitShape<typeof SecurityEventSchema> {
  return {
    securityEventId: event.eventId,
    kind: kinds[event.kind],
    userId: event.userId,
    actor: event.actor,
    sessionId: event.sessionId,
    detail: event.detail,
    time: timestampFromDate(event.time),
  };
}
