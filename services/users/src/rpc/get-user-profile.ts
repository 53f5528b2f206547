import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import { mayActFor } from "../application/may-act-for.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { userNotFound } from "../domain/errors.ts";

/** Reads an account. Another user's is NOT_FOUND, except for administrators. Safe to retry. */
export function getUserProfile(on: {
  readonly users: UserStore;
}): MethodImpl<typeof UserService.method.getUserProfile> {
  return async ({ userId }, context) => {
    const user = mayActFor(callerOf(context), userId) ? await on.users.findById(userId) : undefined;
    if (user === undefined) throw userNotFound(userId);
    return { profile: toUserProfile(user) };
  };
}
