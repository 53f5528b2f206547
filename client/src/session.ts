import { type Client, ConnectError } from "@connectrpc/connect";
import type { AuthenticateResponse, RefreshTokenResponse, UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { Caller } from "./calls.ts";
import { isUnauthenticated, sessionEnded } from "./errors.ts";

/** A token is renewed this long before it expires, so that it is still valid when the call arrives. */
const marginMs = 30_000;
/** Shorter than the ten seconds in which a spent refresh token can be exchanged again. */
const renewTimeoutMs = 8_000;

/** The signed-in user. */
export interface SignedIn {
  readonly userId: string;
  readonly sessionId: string;
}

/** The session of the signed-in user. It keeps the tokens to itself, and renews access tokens in time, once for all waiting calls. */
export interface Session {
  /** Undefined when no user is signed in. */
  readonly user: SignedIn | undefined;
  /** Opens a session, and replaces an earlier one. Throws UNAUTHENTICATED WRONG_CREDENTIALS. Not retried automatically. */
  signIn(credentials: { readonly username: string; readonly password: string }): Promise<SignedIn>;
  /** Continues the session of the browser's cookie, after a page was loaded; undefined when there is none. Safe to repeat. */
  resume(): Promise<SignedIn | undefined>;
  /** Ends the session, here and on the server. If the server is unreachable it throws and the session stays. Safe to repeat. */
  signOut(): Promise<void>;
  /** Calls the listener at every change of `user`, until the returned function is called. */
  onChange(listener: (user: SignedIn | undefined) => void): () => void;
}

/** The last tokens from the server. */
interface Grant extends SignedIn {
  readonly accessToken: string;
  /** Empty if it is in the cookie. */
  readonly refreshToken: string;
  /** From this time on the access token is renewed before use. By Date.now(), which advances while the machine sleeps. */
  renewAt: number;
  /** The renewal in progress, which all calls await. */
  renewing?: Promise<void>;
}

/**
 * Creates the session for the application, and the caller for its calls.
 *
 * @param users a client without access tokens, and with retries
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

  /** The grant for a refresh token; undefined when the token is invalid. */
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
    // The user signed out, or another one signed in, meanwhile: the response is dropped.
    if (held !== grant) return;
    // Tabs share the cookie: another user may have signed in in another tab, and this page shows data of the first one.
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
