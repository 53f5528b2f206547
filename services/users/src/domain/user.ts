/** From a deletion to its event: by then every service refuses the account's access tokens, so nothing is created for it afterwards. */
export const deletionEventDelayMs = 5_000;

/** "admin" is the role that ACCESS_ADMIN requires. */
export type Role = "customer" | "admin";

export interface User {
  readonly userId: string;
  /** As it was registered. */
  readonly username: string;
  /** May be empty. */
  readonly displayName: string;
  /** Argon2id, in PHC format. */
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  /** A disabled account can't sign in. */
  readonly disabled: boolean;
  /** Grows with every change of the account. */
  readonly version: number;
  /** Sessions that were opened at earlier versions of the account have ended. */
  readonly sessionsSince: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

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

type Changes = Partial<Pick<User, "displayName" | "passwordHash" | "roles" | "disabled">>;

/** The account's next version, with changes. */
export function withChanges(user: User, changes: Changes, time: Date): User {
  return { ...user, ...changes, version: user.version + 1, updateTime: time };
}

/** The same, with all sessions ended. */
export function withSessionsEnded(user: User, changes: Changes, time: Date): User {
  const changed = withChanges(user, changes, time);
  return { ...changed, sessionsSince: changed.version };
}

/** There is always at least one such account: see `unlessLastAdmin` in user-store.ts. */
export function isActiveAdmin(user: User): boolean {
  return user.roles.includes("admin") && !user.disabled;
}

/** The etag of the account (RFC 9110, 8.8.3, without the quotes). */
export function etagOf(user: User): string {
  return `v${user.version}`;
}

/**
 * The unique form of a username: NFKC, then case folding. JavaScript has no case folding; upper case joins letters that differ only in
 * lower case ("ß" and "SS", "ſ" and "s"), and lower case the rest.
 */
export function usernameKey(username: string): string {
  return username.normalize("NFKC").toUpperCase().toLowerCase().normalize("NFKC");
}
