import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { dropCookie } from "../adapters/http/refresh-cookie.ts";
import { changeAccess } from "../application/change-access.ts";
import { mayActFor } from "../application/may-act-for.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import type { SecurityLog } from "../application/security-log.ts";
import { userNotFound } from "../domain/errors.ts";
import { withSessionsEnded } from "../domain/user.ts";

/** Ends all sessions of a user, including that of the call. Safe to retry. */
export function signOutEverywhere(on: {
  readonly users: UserStore;
  readonly security: SecurityLog;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.signOutEverywhere> {
  return async ({ userId }, context) => {
    const caller = callerOf(context);
    if (!mayActFor(caller, userId)) throw userNotFound(userId);
    await changeAccess(on, userId, (user, now) => withSessionsEnded(user, {}, now));
    await on.security.record({ kind: "signed_out_everywhere", userId, actor: actorOf(caller) });
    if (caller.kind === "user" && caller.userId === userId) dropCookie(context);
    return {};
  };
}
