import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { dropCookie } from "../adapters/http/refresh-cookie.ts";
import { accessRevokedEvent, userDeletedEvent } from "../adapters/proto/events.ts";
import { sessionIdOf } from "../application/caller-session.ts";
import { confirmPassword } from "../application/confirm-password.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import type { SignInLimits } from "../application/sign-in-limits.ts";
import { userBusy, userNotFound } from "../domain/errors.ts";
import { deletionEventDelayMs } from "../domain/user.ts";

/** Deletes the caller's account. A retry after success is UNAUTHENTICATED or NOT_FOUND. */
export function deleteAccount(on: {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.deleteAccount> {
  return async ({ password }, context) => {
    const userId = userIdOf(context);
    const user = await on.users.findById(userId);
    if (user === undefined) throw userNotFound(userId);
    await confirmPassword(on, user, password, context);
    const now = on.clock();
    const revoked = accessRevokedEvent({ userId, version: user.version + 1 }, now);
    const deleted = userDeletedEvent(user, new Date(now.getTime() + deletionEventDelayMs));
    if (!(await on.users.remove(user, now, [revoked], [deleted]))) throw userBusy(userId);
    await on.sessions.removeAll(userId);
    await on.security.record({ kind: "deleted", userId, sessionId: sessionIdOf(context) });
    dropCookie(context);
    return {};
  };
}
