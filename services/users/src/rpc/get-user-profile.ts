import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { callerOf } from "@shop/platform";
import { userNotFound } from "../domain/errors.ts";
import { mayActFor } from "../may-act-for.ts";
import type { UserStore } from "../store/user-store.ts";
import { toUserProfile } from "../wire/user-profile.ts";

/** Reads an account. Somebody else's is NOT_FOUND, as if it did not exist. */
export function getUserProfile(on: {
  readonly users: UserStore;
}): MethodImpl<typeof UserService.method.getUserProfile> {
  return async ({ userId }, context) => {
    const user = mayActFor(callerOf(context), userId) ? await on.users.findById(userId) : undefined;
    if (user === undefined) throw userNotFound(userId);
    return { profile: toUserProfile(user) };
  };
}
