/** What an account may do; "admin" is what the platform takes for an administrator. */
export type Role = "customer" | "admin";

export interface User {
  readonly userId: string;
  /** As it was registered. */
  readonly username: string;
  /** Argon2id, in PHC format. */
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  readonly createTime: Date;
}

/** Two names that only differ in case are one name. */
export function usernameKey(username: string): string {
  return username.normalize("NFKC").toLowerCase();
}
