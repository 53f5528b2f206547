import { DomainError } from "@shop/core";
import { type CryptoKey, errors, importJWK, type JWK, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { Principal, TokenFacts } from "./principal.ts";
import type { Revocations } from "./revocations.ts";

/** The lifetime of an access token, in seconds. */
export const accessTokenSeconds = 600;

const algorithm = "EdDSA";
const tokenType = "at+jwt";
const ticketType = "stream-ticket+jwt";
const issuer = "shop";
const audience = "shop";
const rememberedTokens = 10_000;
/** How far the issuer's clock may be ahead of ours. */
const maxClockSkewSeconds = 5;
/** The shortest time between two fetches of keys because of an unknown key id. */
const refetchIntervalMs = 2_000;
/** Keys older than this are fetched again, so that a withdrawn key is forgotten. */
const keysMaxAgeMs = 5 * 60 * 1000;

/** A private Ed25519 key as a JSON Web Key with its id. */
export type SigningKey = JWK & { readonly kid: string };

/** The subject of a token. */
export interface TokenSubject {
  readonly userId: string;
  readonly roles: readonly string[];
  readonly sessionId: string;
  /** The account's version when the token is issued. A revocation applies to tokens of earlier versions. */
  readonly version: number;
}

/** Cached by key id: importing a key costs more than signing with it. */
const imported = new LRUCache<string, ReturnType<typeof importJWK>>({ max: 16 });

function importOnce(key: SigningKey): ReturnType<typeof importJWK> {
  const known = imported.get(key.kid) ?? importJWK(key, algorithm);
  imported.set(key.kid, known);
  return known;
}

/** Signs an access token (RFC 7519, RFC 9068). */
export async function signAccessToken(key: SigningKey, subject: TokenSubject, now: Date): Promise<string> {
  const issuedAt = Math.floor(now.getTime() / 1000);
  return await sign(key, tokenType, subject, {}, issuedAt, issuedAt + accessTokenSeconds);
}

/**
 * Signs a ticket that opens streams at this path in place of the access token that it was requested with, and expires with it.
 *
 * @param path normalized, without a query
 */
export async function signStreamTicket(
  key: SigningKey,
  { userId, roles, token }: Extract<Principal, { kind: "user" }> & { readonly token: TokenFacts },
  path: string,
): Promise<string> {
  const { sessionId, version, issueTime, expireTime } = token;
  const [issuedAt, expiresAt] = [issueTime, expireTime].map((time) => Math.floor(time.getTime() / 1000));
  return await sign(key, ticketType, { userId, roles, sessionId, version }, { path }, issuedAt!, expiresAt!);
}

async function sign(
  key: SigningKey,
  typ: string,
  { userId, roles, sessionId, version }: TokenSubject,
  claims: Readonly<Record<string, string>>,
  issuedAt: number,
  expiresAt: number,
): Promise<string> {
  return await new SignJWT({ ...claims, roles, sid: sessionId, ver: version })
    .setProtectedHeader({ alg: algorithm, kid: key.kid, typ })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(userId)
    .setJti(crypto.randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(await importOnce(key));
}

/**
 * Verifies an access token, and returns its user.
 *
 * @param streamPath the path of the request, if the token must be a stream ticket
 * @throws UNAUTHENTICATED if the token is invalid, and UNAVAILABLE if the public keys can't be fetched
 */
export type VerifyAccessToken = (token: string, streamPath?: string) => Promise<Principal>;

type User = Extract<Principal, { kind: "user" }>;

/**
 * Creates a verifier that caches public keys while they are in use, and verified tokens (10,000 at most) until they expire or
 * are revoked. `fetchKeys` returns the public keys in use; its failure matters only for an unknown key.
 */
export function createAccessTokenVerifier(
  fetchKeys: () => Promise<readonly JWK[]>,
  revocations: Pick<Revocations, "isRevoked">,
): VerifyAccessToken {
  let keys: ReadonlyMap<string, CryptoKey | Uint8Array> = new Map();
  const remembered = new LRUCache<string, User>({ max: rememberedTokens });
  let fetching: Promise<void> | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;

  async function fetch(): Promise<void> {
    const named = (await fetchKeys()).filter((key) => key.kid !== undefined);
    keys = new Map(await Promise.all(named.map(async (key) => [key.kid!, await importJWK(key, algorithm)] as const)));
    fetchedAt = performance.now();
  }

  async function refetch(): Promise<void> {
    fetching ??= fetch().finally(() => {
      fetching = undefined;
    });
    await fetching;
  }

  async function keyOf(kid: string | undefined): Promise<CryptoKey | Uint8Array> {
    if (kid === undefined) throw badToken("it has no key id");
    const known = keys.get(kid);
    if (known !== undefined) {
      // In the background: known keys stay valid while the fetch fails.
      if (performance.now() - fetchedAt > keysMaxAgeMs) void refetch().catch(() => {});
      return known;
    }
    if (performance.now() - fetchedAt > refetchIntervalMs) {
      try {
        await refetch();
      } catch (cause) {
        throw new DomainError(
          "unavailable",
          "TOKEN_KEYS_UNAVAILABLE",
          "access tokens can't be verified at the moment",
          {
            cause,
            retryAfterMs: 1_000,
          },
        );
      }
    }
    const fetched = keys.get(kid);
    if (fetched === undefined) throw badToken("its key is unknown");
    return fetched;
  }

  async function check(text: string, streamPath: string | undefined): Promise<User> {
    try {
      const { payload } = await jwtVerify(text, (header) => keyOf(header.kid), {
        algorithms: [algorithm],
        typ: streamPath === undefined ? tokenType : ticketType,
        issuer,
        audience,
        requiredClaims: ["sub", "sid", "ver", "jti", "iat", "exp"],
      });
      if (payload.iat! > Date.now() / 1000 + maxClockSkewSeconds) throw badToken("it is not valid yet");
      if (streamPath !== undefined && payload.path !== streamPath) throw badToken("it is a ticket for another stream");
      const roles = Array.isArray(payload.roles) ? payload.roles.map(String) : [];
      const expireTime = new Date(payload.exp! * 1000);
      const token = {
        sessionId: String(payload.sid),
        version: Number(payload.ver),
        issueTime: new Date(payload.iat! * 1000),
        expireTime,
      };
      const principal = { kind: "user", userId: payload.sub!, roles, token } as const;
      const ttl = expireTime.getTime() - Date.now();
      if (ttl > 0) remembered.set(nameOf(text, streamPath), principal, { ttl });
      return principal;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw tokenExpired();
      if (error instanceof errors.JOSEError) throw badToken("it is not valid");
      throw error;
    }
  }

  return async (text, streamPath) => {
    const user = remembered.get(nameOf(text, streamPath)) ?? (await check(text, streamPath));
    // Checked even if cached: it may have been revoked since.
    if (revocations.isRevoked(user)) throw tokenRevoked();
    return user;
  };
}

function nameOf(text: string, streamPath: string | undefined): string {
  return streamPath === undefined ? text : `${streamPath} ${text}`;
}

/** The error for a token that expired during the call. */
export function tokenExpired(): DomainError {
  return badToken("it has expired");
}

/** The error for a token whose session has ended, or whose account has changed. */
export function tokenRevoked(): DomainError {
  return badToken("it was revoked");
}

function badToken(why: string): DomainError {
  return new DomainError("unauthenticated", "ACCESS_TOKEN_INVALID", `the access token was refused: ${why}`);
}
