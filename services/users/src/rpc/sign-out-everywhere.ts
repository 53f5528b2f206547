import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { type Clock, callerOf } from "@shop/platform";
import { changeAccess } from "../change-access.ts";
import { userNotFound } from "../domain/errors.ts";
import { asSignedOut } from "../domain/user.ts";
import { mayActFor } from "../may-act-for.ts";
import type { UserStore } from "../store/user-store.ts";

/** Ends every session of a user, that of this call included. Safe to retry. */
export function signOutEverywhere(on: {
  readonly users: UserStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.signOutEverywhere> {
  return async ({ userId }, context) => {
    if (!mayActFor(callerOf(context), userId)) throw userNotFound(userId);
    await changeAccess(on, userId, (user, now) => asSignedOut(user, {}, now));
    return {};
  };
}
