import { userBusy, userNotFound } from "./domain/errors.ts";
import type { User } from "./domain/user.ts";
import type { UserStore } from "./store/user-store.ts";

const attempts = 5;

/**
 * Changes an account by compare-and-set: `decide` sees it as it is, and again if it changed meanwhile; it throws when it can't be
 * changed, and answers it as it was when it need not be. Throws USER_NOT_FOUND, and USER_BUSY after five tries.
 */
export async function changeUser(
  on: { readonly users: UserStore },
  userId: string,
  decide: (user: User) => User,
): Promise<User> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const read = await on.users.findById(userId);
    if (read === undefined) throw userNotFound(userId);
    const changed = decide(read);
    if (changed === read || (await on.users.update(read, changed))) return changed;
  }
  throw userBusy(userId);
}
