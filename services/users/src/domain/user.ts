/** What an account may do; "admin" is what the platform takes for an administrator. */
export type Role = "customer" | "admin";

export interface User {
  readonly userId: string;
  /** As it was registered. */
  readonly username: string;
  /** Argon2id, in PHC format. */
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  /** Grows with every change of the account. */
  readonly version: number;
  /** Sessions of earlier versions of the account have ended. */
  readonly sessionsSince: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** What an account begins as. */
export function newUser(
  account: Pick<User, "userId" | "username" | "passwordHash" | "roles"> & { readonly time: Date },
): User {
  const { time, ...given } = account;
  return { ...given, version: 1, sessionsSince: 1, createTime: time, updateTime: time };
}

/** The account after a change, which made it the next version. */
function asChanged(user: User, changes: Partial<Pick<User, "roles" | "passwordHash">>, time: Date): User {
  return { ...user, ...changes, version: user.version + 1, updateTime: time };
}

/** The account once all of its sessions have ended. */
export function asSignedOut(user: User, time: Date): User {
  const changed = asChanged(user, {}, time);
  return { ...changed, sessionsSince: changed.version };
}

/**
 * Two names that only differ in case, or in how Unicode writes them, are one name: NFKC, then case folding. JavaScript has no
 * folding of its own; upper case brings together what it folds ("ß" and "SS", "ſ" and "s"), lower case what is left.
 */
export function usernameKey(username: string): string {
  return username.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}
