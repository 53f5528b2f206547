import { type Client, ConnectError } from "@connectrpc/connect";
import type { AuthenticateResponse, RefreshTokenResponse, UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { Caller } from "./calls.ts";
import { isUnauthenticated, sessionEnded } from "./errors.ts";

/** A token is renewed so long before it expires that the call it is for arrives in time. */
const marginMs = 30_000;
/** Shorter than the ten seconds in which a spent refresh token still answers the same next one. */
const renewTimeoutMs = 8_000;

/** Somebody who has signed in. */
export interface SignedIn {
  readonly userId: string;
  readonly sessionId: string;
}

/** Who is signed in. The tokens stay inside: access tokens are renewed by themselves, in time and once for all calls. */
export interface Session {
  /** Undefined while nobody is. */
  readonly user: SignedIn | undefined;
  /** Opens a session, in the place of one that there was. Throws UNAUTHENTICATED WRONG_CREDENTIALS. Not repeated by itself. */
  signIn(credentials: { readonly username: string; readonly password: string }): Promise<SignedIn>;
  /**
   * Goes on with the session of the browser's cookie, after a page was loaded; undefined when there is none. Safe to repeat.
   */
  resume(): Promise<SignedIn | undefined>;
  /** Ends the session, here and on the server. When the server can't be reached it throws, and goes on. Safe to repeat. */
  signOut(): Promise<void>;
  /** Tells of every change of `user`, until the function that it answers is called. */
  onChange(listener: (user: SignedIn | undefined) => void): () => void;
}

/** What the server has granted last. */
interface Grant extends SignedIn {
  readonly accessToken: string;
  /** Empty if it is in the cookie. */
  readonly refreshToken: string;
  /** Date.now() from which on the access token is not used any more: the clock that goes on while a machine sleeps. */
  renewAt: number;
  /** The one renewal that all calls wait for. */
  renewing?: Promise<void>;
}

/**
 * The session for the page or program, and the caller for its calls.
 * @param users makes calls without an access token, and repeats those that can be
 */
export function createSession(
  users: Client<typeof UserService>,
  keepsCookie: boolean,
): { readonly session: Session; readonly caller: Caller } {
  let held: Grant | undefined;
  let resuming: Promise<SignedIn | undefined> | undefined;
  const listeners = new Set<(user: SignedIn | undefined) => void>();

  function hold(next: Grant | undefined): void {
    const isChange = held?.sessionId !== next?.sessionId;
    held = next;
    if (isChange) for (const listener of listeners) listener(userOf(held));
  }

  /** The grant that a refresh token gets; undefined when it is not good any more. */
  async function exchange(refreshToken: string): Promise<Grant | undefined> {
    try {
      return grantOf(await users.refreshToken({ refreshToken }, { timeoutMs: renewTimeoutMs }));
    } catch (error) {
      if (isUnauthenticated(error)) return undefined;
      throw error;
    }
  }

  async function renew(grant: Grant): Promise<void> {
    const next = await exchange(grant.refreshToken);
    // Signed out, or in as somebody else, meanwhile: what came is nobody's.
    if (held !== grant) return;
    // The cookie is the browser's: in another tab somebody else may have signed in, and what this page shows isn't theirs.
    hold(next?.userId === grant.userId ? next : undefined);
  }

  async function accessTokenOf(userId: string): Promise<string> {
    const grant = held;
    if (grant !== undefined && Date.now() >= grant.renewAt) {
      grant.renewing ??= renew(grant).finally(() => delete grant.renewing);
      await grant.renewing;
    }
    if (held?.userId !== userId) throw sessionEnded();
    return held.accessToken;
  }

  function refused(accessToken: string): void {
    if (held?.accessToken === accessToken) held.renewAt = 0;
  }

  const caller: Caller = {
    get userId() {
      return held?.userId;
    },
    accessTokenOf,
    refused,
  };
  const session: Session = {
    get user() {
      return userOf(held);
    },

    async signIn(credentials) {
      const grant = grantOf(await users.authenticate({ ...credentials, refreshTokenInCookie: keepsCookie }));
      hold(grant);
      return userOf(grant)!;
    },

    async resume() {
      if (held !== undefined || !keepsCookie) return userOf(held);
      resuming ??= exchange("")
        .then((grant) => {
          if (held === undefined) hold(grant);
          return userOf(held);
        })
        .finally(() => (resuming = undefined));
      return await resuming;
    },

    async signOut() {
      const grant = held;
      if (grant === undefined) return;
      try {
        const authorization = `Bearer ${await accessTokenOf(grant.userId)}`;
        await users.signOut({}, { headers: { authorization } });
      } catch (error) {
        if (!isUnauthenticated(error)) throw ConnectError.from(error);
      }
      if (held?.sessionId === grant.sessionId) hold(undefined);
    },

    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return { session, caller };
}

function grantOf(answer: AuthenticateResponse | RefreshTokenResponse): Grant {
  const { userId, sessionId, accessToken, refreshToken, expiresInSeconds } = answer;
  const lifetimeMs = expiresInSeconds * 1_000;
  const renewAt = Date.now() + lifetimeMs - Math.min(marginMs, lifetimeMs / 10);
  return { userId, sessionId, accessToken, refreshToken, renewAt };
}

function userOf(grant: Grant | undefined): SignedIn | undefined {
  return grant && { userId: grant.userId, sessionId: grant.sessionId };
}
