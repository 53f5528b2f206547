import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { type Clock, callerOf } from "@shop/platform";
import { changeUser } from "../change-user.ts";
import { userNotFound } from "../domain/errors.ts";
import { asSignedOut } from "../domain/user.ts";
import { mayActFor } from "../may-act-for.ts";
import type { UserStore } from "../store/user-store.ts";
import { accessRevokedEvent } from "../wire/events.ts";

/** Ends every session of a user, that of this call included. Safe to retry. */
export function signOutEverywhere(on: {
  readonly users: UserStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.signOutEverywhere> {
  return async ({ userId }, context) => {
    if (!mayActFor(callerOf(context), userId)) throw userNotFound(userId);
    await changeUser(on, userId, (read) => {
      const now = on.clock();
      const user = asSignedOut(read, now);
      return { user, events: [accessRevokedEvent(user, now)] };
    });
    return {};
  };
}
