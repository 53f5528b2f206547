import { retryOnConflict } from "@shop/core";
import type { PendingEvent } from "@shop/messaging";
import { userBusy, userNotFound } from "../domain/errors.ts";
import type { User } from "../domain/user.ts";
import type { UserStore } from "./ports/user-store.ts";

/** The changed account, and the events to commit with it. */
export interface UserChange {
  readonly user: User;
  readonly events: readonly PendingEvent[];
}

/**
 * Changes an account by compare-and-set. `decide` gets the current account, and is called again if it changed meanwhile; it throws to
 * refuse, and returns undefined when nothing has to change. Throws USER_NOT_FOUND, and USER_BUSY after five tries.
 */
export async function changeUser(
  on: { readonly users: UserStore },
  userId: string,
  decide: (user: User) => UserChange | undefined,
): Promise<User> {
  const attempt = async () => {
    const read = await on.users.findById(userId);
    if (read === undefined) throw userNotFound(userId);
    const change = decide(read);
    if (change === undefined) return read;
    return (await on.users.update(read, change.user, change.events)) ? change.user : undefined;
  };
  return await retryOnConflict(attempt, () => userBusy(userId));
}
