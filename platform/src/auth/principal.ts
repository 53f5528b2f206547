/** Who calls: nobody known, somebody with an account, or another part of the platform. */
export type Principal =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "user";
      readonly userId: string;
      readonly roles: readonly string[];
      /** The session that their token belongs to, if they came with one. */
      readonly sessionId?: string;
      /** When their token expires, if they came with one. */
      readonly expireTime?: Date;
    }
  | { readonly kind: "service"; readonly name: string };

export const anonymous: Principal = { kind: "anonymous" };

/** The role that passes ACCESS_ADMIN. */
const adminRole = "admin";

/** Tells whether this is an administrator or a part of the platform itself. */
export function isAdmin(principal: Principal): boolean {
  return principal.kind === "service" || (principal.kind === "user" && principal.roles.includes(adminRole));
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
