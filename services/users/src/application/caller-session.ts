import type { ContextValues } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";

/** The session that the caller's access token belongs to. For methods that only users can call. */
export function sessionIdOf(context: { readonly values: ContextValues }): string {
  const caller = callerOf(context);
  if (caller.kind !== "user" || caller.token === undefined) throw new Error("whoever calls this has a session");
  return caller.token.sessionId;
}
