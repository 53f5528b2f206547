import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { sessionIdOf } from "../application/caller-session.ts";
import { changeAccess } from "../application/change-access.ts";
import { confirmPassword } from "../application/confirm-password.ts";
import { accessGrant } from "../application/grant.ts";
import { checkNewPassword } from "../application/password-rules.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import type { SignInLimits } from "../application/sign-in-limits.ts";
import type { TokenKeys } from "../application/token-keys.ts";
import { sessionEnded, userBusy } from "../domain/errors.ts";
import { isLive } from "../domain/session.ts";
import { withSessionsEnded } from "../domain/user.ts";

/** Changes the caller's password and ends their other sessions. A retry after success is WRONG_PASSWORD. */
export function changePassword(on: {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly tokenKeys: TokenKeys;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.changePassword> {
  return async ({ oldPassword, newPassword }, context) => {
    const read = await on.users.findById(userIdOf(context));
    const session = await on.sessions.findById(sessionIdOf(context));
    if (read === undefined || session === undefined || !isLive(session, read, on.clock())) throw sessionEnded();
    checkNewPassword("new_password", newPassword, read.username);
    await confirmPassword(on, read, oldPassword, context);
    const passwordHash = await on.passwords.hash(newPassword, context.signal, {
      address: clientAddressOf(context),
      isKnown: true,
    });
    const user = await changeAccess(on, read.userId, (current, now) => {
      // The password changed after it was checked.
      if (current.passwordHash !== read.passwordHash) throw userBusy(read.userId);
      return withSessionsEnded(current, { passwordHash }, now);
    });
    await on.security.record({ kind: "password_changed", userId: read.userId, sessionId: session.sessionId });
    // If the process dies before this, this session has ended with the others, and the caller has to sign in again.
    await on.sessions.keep(session, user.version);
    return await accessGrant(on, user, session.sessionId, on.clock());
  };
}
