import type { ContextValues } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";

/** The session of the caller's access token. Only for methods that require a user. */
export function sessionIdOf(context: { readonly values: ContextValues }): string {
  const caller = callerOf(context);
  if (caller.kind !== "user" || caller.token === undefined) throw new Error("the caller has no session");
  return caller.token.sessionId;
}
