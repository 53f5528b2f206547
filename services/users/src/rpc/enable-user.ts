import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import { changeUser } from "../application/change-user.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import { withChanges } from "../domain/user.ts";

/** Enables an account, which can then sign in again; its earlier sessions stay ended. Safe to retry. */
export function enableUser(on: {
  readonly users: UserStore;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.enableUser> {
  return async ({ userId }, context) => {
    const user = await changeUser(on, userId, (read) =>
      read.disabled ? { user: withChanges(read, { disabled: false }, on.clock()), events: [] } : undefined,
    );
    await on.security.record({ kind: "enabled", userId, actor: actorOf(callerOf(context)) });
    return { profile: toUserProfile(user) };
  };
}
