import type { HandlerContext } from "@connectrpc/connect";
import { clientAddressOf } from "@shop/http-port";
import { wrongPassword } from "../domain/errors.ts";
import type { User } from "../domain/user.ts";
import { sessionIdOf } from "./caller-session.ts";
import type { Passwords } from "./ports/passwords.ts";
import type { SecurityLog } from "./security-log.ts";
import type { SignInLimits } from "./sign-in-limits.ts";

/** Checks the password of a signed-in caller. Counts and slows down like a sign-in. Throws WRONG_PASSWORD. */
export async function confirmPassword(
  on: { readonly passwords: Passwords; readonly limits: SignInLimits; readonly security: SecurityLog },
  { userId, username, passwordHash }: User,
  password: string,
  context: HandlerContext,
): Promise<void> {
  const confirmed = await on.limits.attempt(username, context, async () => {
    // A caller with a session has signed in before.
    const caller = { address: clientAddressOf(context), isKnown: true };
    if ((await on.passwords.verify(passwordHash, password, context.signal, caller)).matches) return true;
    await on.security.record({ kind: "password_refused", userId, sessionId: sessionIdOf(context) });
    return undefined;
  });
  if (confirmed === undefined) throw wrongPassword();
}
