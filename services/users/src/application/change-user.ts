import { retryOnConflict } from "@shop/core";
import type { PendingEvent } from "@shop/messaging";
import type { UserStore } from "../adapters/mongo/user-store.ts";
import { userBusy, userNotFound } from "../domain/errors.ts";
import type { User } from "../domain/user.ts";

/** What an account becomes, and the events that tell of it. */
export interface UserChange {
  readonly user: User;
  readonly events: readonly PendingEvent[];
}

/**
 * Changes an account by compare-and-set: `decide` sees it as it is, and again if it changed meanwhile; it throws when it can't be
 * changed, and answers undefined when it need not be. Throws USER_NOT_FOUND, and USER_BUSY after five tries.
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
