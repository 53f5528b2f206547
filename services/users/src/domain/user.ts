/**
 * From a deletion to its event, in milliseconds: no service accepts the account's access tokens any more when the event arrives,
 * so nothing of the account is created after it.
 */
export const deletionEventDelayMs = 5_000;

/** What an account may do; "admin" is what the platform takes for an administrator. */
export type Role = "customer" | "admin";

export interface User {
  readonly userId: string;
  /** As it was registered. */
  readonly username: string;
  /** How they want to be called; empty when they did not say. */
  readonly displayName: string;
  /** Argon2id, in PHC format. */
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  /** Shut out: it can't sign in. */
  readonly disabled: boolean;
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
  return {
    ...given,
    displayName: "",
    disabled: false,
    version: 1,
    sessionsSince: 1,
    createTime: time,
    updateTime: time,
  };
}

/** What can change of an account. */
type Changes = Partial<Pick<User, "displayName" | "passwordHash" | "roles" | "disabled">>;

/** The account after a change, which made it the next version. */
export function asChanged(user: User, changes: Changes, time: Date): User {
  return { ...user, ...changes, version: user.version + 1, updateTime: time };
}

/** The account after a change that ended all of its sessions. */
export function asSignedOut(user: User, changes: Changes, time: Date): User {
  const changed = asChanged(user, changes, time);
  return { ...changed, sessionsSince: changed.version };
}

/** Whether it can run the shop: of those there is always one. */
export function isActiveAdmin(user: User): boolean {
  return user.roles.includes("admin") && !user.disabled;
}

/** Names a version of the account (RFC 9110, 8.8.3, without the quotes). */
export function etagOf(user: User): string {
  return `v${user.version}`;
}

/**
 * Two names that only differ in case, or in how Unicode writes them, are one name: NFKC, then case folding. JavaScript has no
 * folding of its own; upper case brings together what it folds ("ß" and "SS", "ſ" and "s"), lower case what is left.
 */
export function usernameKey(username: string): string {
  return username.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}
