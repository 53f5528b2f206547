import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { actorOf, type Clock, callerOf } from "@shop/platform";
import { changeAccess } from "../change-access.ts";
import { userNotFound } from "../domain/errors.ts";
import { asSignedOut } from "../domain/user.ts";
import { checkNewPassword } from "../password-rules.ts";
import type { Passwords } from "../passwords.ts";
import type { SecurityLog } from "../security-log.ts";
import type { UserStore } from "../store/user-store.ts";
import { toUserProfile } from "../wire/user-profile.ts";

/** Replaces a lost password and ends the account's sessions. Safe to retry: the last password counts. */
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
    const user = await changeAccess(on, found.userId, (read, now) => asSignedOut(read, { passwordHash }, now));
    await on.security.record({ kind: "password_reset", userId: user.userId, actor: actorOf(callerOf(context)) });
    return { profile: toUserProfile(user) };
  };
}
