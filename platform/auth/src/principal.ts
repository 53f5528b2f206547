/** The caller: anonymous, a user, or a service of the platform. */
export type Principal =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "user";
      readonly userId: string;
      readonly roles: readonly string[];
      /** The facts of the access token, if the call has one. */
      readonly token?: TokenFacts;
    }
  | { readonly kind: "service"; readonly name: string };

/** The facts of an access token, besides its subject. */
export interface TokenFacts {
  readonly sessionId: string;
  /** The account's version when the token was issued. */
  readonly version: number;
  readonly issueTime: Date;
  readonly expireTime: Date;
}

export const anonymous: Principal = { kind: "anonymous" };

/** The role required by ACCESS_ADMIN. */
const adminRole = "admin";

/** Whether this is a user with the administrator role. */
export function isAdmin(principal: Principal): boolean {
  return principal.kind === "user" && principal.roles.includes(adminRole);
}

/** The actor in logs and records: a user's id, or the service's name. */
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
