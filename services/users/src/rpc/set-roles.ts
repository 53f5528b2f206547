import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toRoles, toUserProfile } from "../adapters/proto/user-profile.ts";
import { changeAccess } from "../application/change-access.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import { withChanges } from "../domain/user.ts";

/** Sets an account's roles. Its sessions continue, with new access tokens. Safe to retry. */
export function setRoles(on: {
  readonly users: UserStore;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.setRoles> {
  return async (request, context) => {
    const roles = toRoles(request.roles);
    let isUnchanged = false;
    const user = await changeAccess(on, request.userId, (read, now) => {
      isUnchanged = roles.length === read.roles.length && roles.every((role) => read.roles.includes(role));
      return isUnchanged ? undefined : withChanges(read, { roles }, now);
    });
    if (!isUnchanged) {
      const [actor, detail] = [actorOf(callerOf(context)), roles.join(", ")];
      await on.security.record({ kind: "roles_set", userId: user.userId, actor, detail });
    }
    return { profile: toUserProfile(user) };
  };
}
