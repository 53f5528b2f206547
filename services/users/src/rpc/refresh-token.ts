import type { MethodImpl } from "@connectrpc/connect";
import { type Clock, retryOnConflict } from "@shop/core";
import type { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { cookieOf, inCookie } from "../adapters/http/refresh-cookie.ts";
import { sessionEndedEvent } from "../adapters/proto/events.ts";
import { grant } from "../application/grant.ts";
import type { SessionStore } from "../application/ports/session-store.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { checkRefreshToken, fromText, hashOf, type RefreshToken, spend } from "../application/refresh-tokens.ts";
import type { SecurityLog } from "../application/security-log.ts";
import type { TokenKeys } from "../application/token-keys.ts";
import { refreshTokenInvalid } from "../domain/errors.ts";
import { appendSpent, expireTimeOf, isLive, type SessionLifetime } from "../domain/session.ts";

/**
 * Exchanges a refresh token for the next one and an access token. Safe to retry for ten seconds, with the same result; a later second use
 * ends the session.
 */
export function refreshToken(on: {
  readonly users: UserStore;
  readonly sessions: SessionStore;
  readonly tokenKeys: TokenKeys;
  readonly security: SecurityLog;
  readonly lifetime: SessionLifetime;
  readonly clock: Clock;
}): MethodImpl<typeof UserService.method.refreshToken> {
  async function exchange(token: RefreshToken) {
    return await retryOnConflict(async () => {
      const now = on.clock();
      const session = await on.sessions.findByFamily(hashOf(token.family));
      const user = session && (await on.users.findById(session.userId));
      if (session === undefined || user === undefined || !isLive(session, user, now)) throw refreshTokenInvalid();

      const checked = checkRefreshToken(session, token, now);
      if (checked.kind === "graced") return await grant(on, user, session, checked.current, now);
      if (checked.kind === "reused") {
        const { sessionId, userId } = session;
        if (await on.sessions.end(sessionId, now, [sessionEndedEvent(session, now)])) {
          await on.security.record({ kind: "refresh_token_reused", userId, sessionId, actor: "anonymous" });
        }
        throw refreshTokenInvalid();
      }
      const { next, spent } = spend(token, now);
      const rotated = {
        tokenHash: hashOf(next.secret),
        spent: appendSpent(session, spent),
        lastUseTime: now,
        expireTime: expireTimeOf(session.createTime, now, on.lifetime),
      };
      if (await on.sessions.rotate(session, rotated)) {
        return await grant(on, user, { ...session, ...rotated }, next, now);
      }
      // Another exchange was first, or the session ended meanwhile.
      return undefined;
    });
  }

  return async (request, context) => {
    const isInCookie = request.refreshToken === "";
    const token = fromText(isInCookie ? (cookieOf(context) ?? "") : request.refreshToken);
    if (token === undefined) throw refreshTokenInvalid();
    const granted = await exchange(token);
    return isInCookie ? inCookie(granted, context) : granted;
  };
}
