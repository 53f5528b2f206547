import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import { type Clock, invalidFields } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { profileChanges } from "../adapters/proto/profile-changes.ts";
import { toUserProfile } from "../adapters/proto/user-profile.ts";
import { changeUser } from "../application/change-user.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { userChanged, userNotFound } from "../domain/errors.ts";
import { etagOf, withChanges } from "../domain/user.ts";

/** Changes the fields of the mask. A retry without an etag is safe; with one it is ABORTED if the first try succeeded. */
export function updateUserProfile(on: {
  readonly users: UserStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.updateUserProfile> {
  return async ({ profile, updateMask }, context) => {
    const { userId, etag } = profile!;
    if (userId === "") throw invalidFields([{ field: "profile.user_id", description: "is required" }]);
    if (userId !== userIdOf(context)) throw userNotFound(userId);
    const user = await changeUser(on, userId, (read) => {
      if (etag !== "" && etag !== etagOf(read)) throw userChanged(userId, etagOf(read));
      const changes = profileChanges(read, profile!, updateMask);
      const isUnchanged = changes.displayName === undefined || changes.displayName === read.displayName;
      return isUnchanged ? undefined : { user: withChanges(read, changes, on.clock()), events: [] };
    });
    return { profile: toUserProfile(user) };
  };
}
