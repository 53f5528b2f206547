import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import { changeAccess } from "../application/change-access.ts";
import { checkNewPassword } from "../application/password-rules.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import { userNotFound } from "../domain/errors.ts";
import { withSessionsEnded } from "../domain/user.ts";

/** Replaces a lost password and ends the account's sessions. Safe to retry. */
export function resetPassword(on: {
  readonly users: UserStore;
  readonly passwords: Passwords;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.resetPassword> {
  return async ({ username, newPassword }, context) => {
    const found = await on.users.findByUsername(username);
    if (found === undefined) throw userNotFound(username);
    checkNewPassword("new_password", newPassword, found.username);
    const passwordHash = await on.passwords.hash(newPassword, context.signal);
    const user = await changeAccess(on, found.userId, (read, now) => withSessionsEnded(read, { passwordHash }, now));
    await on.security.record({ kind: "password_reset", userId: user.userId, actor: actorOf(callerOf(context)) });
    return { profile: toUserProfile(user) };
  };
}
