import type { MethodImpl } from "@connectrpc/connect";
import { type Clock, newId } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { inCookie } from "../adapters/http/refresh-cookie.ts";
import { grant } from "../application/grant.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { hashOf, newRefreshToken } from "../application/refresh-tokens.ts";
import type { SecurityLog } from "../application/security-log.ts";
import type { SignInLimits } from "../application/sign-in-limits.ts";
import type { TokenKeys } from "../application/token-keys.ts";
import { accountDisabled, wrongCredentials } from "../domain/errors.ts";
import { expireTimeOf, type SessionLifetime } from "../domain/session.ts";

const maxUserAgent = 256;

/** Exchanges a name and a password for a session. Safe to retry: a session whose response was lost expires unused. */
export function authenticate(on: {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly tokenKeys: TokenKeys;
  readonly security: SecurityLog;
  readonly lifetime: SessionLifetime;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.authenticate> {
  return async (request, context) => {
    const signedIn = await on.limits.attempt(request.username, context, async (isKnown) => {
      const found = await on.users.findByUsername(request.username);
      const { matches, isOutdated } = await on.passwords.verify(found?.passwordHash, request.password, context.signal, {
        address: clientAddressOf(context),
        isKnown,
      });
      if (found !== undefined && matches && !found.disabled) return { user: found, isOutdated };
      await on.security.record({ kind: "sign_in_failed", userId: found?.userId ?? "", actor: "anonymous" });
      if (matches) throw accountDisabled();
      return undefined;
    });
    if (signedIn === undefined) throw wrongCredentials();
    const { user, isOutdated } = signedIn;
    // The password is known only now.
    if (isOutdated) await on.users.replaceHash(user, await on.passwords.hash(request.password));
    const refreshToken = newRefreshToken();
    const now = on.clock();
    const session = {
      sessionId: newId("session"),
      userId: user.userId,
      // The version that was read: if the account's sessions were ended while the password was checked, this one is ended, too.
      userVersion: user.version,
      familyHash: hashOf(refreshToken.family),
      tokenHash: hashOf(refreshToken.secret),
      spent: [],
      userAgent: userAgentOf(context.requestHeader),
      createTime: now,
      lastUseTime: now,
      expireTime: expireTimeOf(now, now, on.lifetime),
    };
    // Together, so that they share one flush of the database's journal, the larger part of their cost.
    await Promise.all([
      on.sessions.insert(session),
      on.security.record({ kind: "signed_in", userId: user.userId, sessionId: session.sessionId }),
    ]);
    const granted = await grant(on, user, session, refreshToken, now);
    return request.refreshTokenInCookie ? inCookie(granted, context) : granted;
  };
}

/** For display in ListSessions: characters other than visible ASCII (RFC 9110, 5.5) become "?". */
function userAgentOf(header: Headers): string {
  return (header.get("user-agent") ?? "").slice(0, maxUserAgent).replace(/[^ -~]/g, "?");
}
