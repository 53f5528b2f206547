import { accessTokenSeconds, signAccessToken } from "@shop/auth";
import type { Session } from "../domain/session.ts";
import type { User } from "../domain/user.ts";
import { type RefreshToken, toText } from "./refresh-tokens.ts";
import type { TokenKeys } from "./token-keys.ts";

/** The response of Authenticate and RefreshToken: an access token and a refresh token (RFC 6749, 5.1). */
export async function grant(
  on: { readonly tokenKeys: TokenKeys },
  user: User,
  { sessionId, expireTime }: Pick<Session, "sessionId" | "expireTime">,
  refreshToken: RefreshToken,
  now: Date,
) {
  return {
    userId: user.userId,
    ...(await accessGrant(on, user, sessionId, now)),
    refreshToken: toText(refreshToken),
    refreshExpiresInSeconds: Math.floor((expireTime.getTime() - now.getTime()) / 1000),
    sessionId,
  };
}

/** An access token for the session, with its lifetime. */
export async function accessGrant(
  on: { readonly tokenKeys: TokenKeys },
  { userId, roles, version }: User,
  sessionId: string,
  now: Date,
) {
  return {
    accessToken: await signAccessToken(on.tokenKeys.signing, { userId, roles, sessionId, version }, now),
    tokenType: "Bearer",
    expiresInSeconds: accessTokenSeconds,
  };
}
