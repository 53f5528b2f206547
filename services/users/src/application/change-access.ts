import type { Clock } from "@shop/core";
import { accessRevokedEvent } from "../adapters/proto/events.ts";
import type { User } from "../domain/user.ts";
import { changeUser } from "./change-user.ts";
import type { UserStore } from "./ports/user-store.ts";

/**
 * Changes an account and revokes its access tokens, so that the change takes effect in all services. `decide` returns undefined when
 * nothing has to change. Throws USER_NOT_FOUND, LAST_ADMIN and USER_BUSY.
 */
export async function changeAccess(
  on: { readonly users: UserStore; readonly clock: Clock },
  userId: string,
  decide: (user: User, now: Date) => User | undefined,
): Promise<User> {
  return await changeUser(on, userId, (read) => {
    const now = on.clock();
    const user = decide(read, now);
    return user && { user, events: [accessRevokedEvent(user, now)] };
  });
}
