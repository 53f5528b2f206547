/** Who calls: nobody known, somebody with an account, or another part of the platform. */
export type Principal =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "user";
      readonly userId: string;
      readonly roles: readonly string[];
      /** What their token says, if they came with one. */
      readonly token?: TokenFacts;
    }
  | { readonly kind: "service"; readonly name: string };

/** What an access token says besides whose it is. */
export interface TokenFacts {
  readonly sessionId: string;
  /** Of the account when the token was issued. */
  readonly version: number;
  readonly issueTime: Date;
  readonly expireTime: Date;
}

export const anonymous: Principal = { kind: "anonymous" };

/** The role that passes ACCESS_ADMIN. */
const adminRole = "admin";

/** Tells whether this is an account with the role of an administrator. */
export function isAdmin(principal: Principal): boolean {
  return principal.kind === "user" && principal.roles.includes(adminRole);
}

/** How records name who did something: a user's id, or the part of the platform. */
export function actorOf(principal: Principal): string {
  switch (principal.kind) {
    case "user":
      return principal.userId;
    case "service":
      return principal.name;
    case "anonymous":
      return "anonymous";
  }
}
