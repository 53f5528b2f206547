import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import { changeAccess } from "../application/change-access.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import { withSessionsEnded } from "../domain/user.ts";

/** Disables an account and ends its sessions. Safe to retry. */
export function disableUser(on: {
  readonly users: UserStore;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.disableUser> {
  return async ({ userId }, context) => {
    const user = await changeAccess(on, userId, (read, now) =>
      read.disabled ? undefined : withSessionsEnded(read, { disabled: true }, now),
    );
    await on.security.record({ kind: "disabled", userId, actor: actorOf(callerOf(context)) });
    return { profile: toUserProfile(user) };
  };
}
