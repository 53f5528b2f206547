import type { MethodImpl } from "@connectrpc/connect";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { Clock } from "@shop/platform";
import { changeAccess } from "../change-access.ts";
import { asChanged } from "../domain/user.ts";
import type { UserStore } from "../store/user-store.ts";
import { toRoles, toUserProfile } from "../wire/user-profile.ts";

/** Says what an account may do; its sessions go on, with access tokens that say so. Safe to retry. */
export function setRoles(on: {
  readonly users: UserStore;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.setRoles> {
  return async (request) => {
    const roles = toRoles(request.roles);
    const user = await changeAccess(on, request.userId, (read, now) => {
      const isSo = roles.length === read.roles.length && roles.every((role) => read.roles.includes(role));
      return isSo ? undefined : asChanged(read, { roles }, now);
    });
    return { profile: toUserProfile(user) };
  };
}
