import { Code, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { reasonOf } from "./errors.ts";
import { createShop } from "./shop.ts";
import { type Answers, errorOf, refusal, transportTo } from "./testing.ts";

const credentials = { username: "somebody", password: "correct horse battery" };

/** A shop that accepts only the access tokens in `good`, and records used refresh tokens in `spent`. */
function server(
  more: {
    readonly expiresInSeconds?: number;
    /** Awaited before the response is sent. */
    readonly refreshed?: () => Promise<void>;
    readonly signedOut?: () => Promise<void>;
  } = {},
) {
  let issued = 0;
  const good = new Set<string>();
  const spent: string[] = [];
  let userId = "user_a";
  const grant = (isInCookie: boolean) => {
    const name = `${userId}-${++issued}`;
    good.add(`Bearer ${name}`);
    return {
      userId,
      sessionId: `session_${userId}`,
      accessToken: name,
      expiresInSeconds: more.expiresInSeconds ?? 600,
      refreshToken: isInCookie ? "" : `refresh-${name}`,
    };
  };
  const admit = ({ requestHeader }: HandlerContext) => {
    const header = requestHeader.get("authorization");
    if (header === null) throw refusal(Code.Unauthenticated, "ACCESS_TOKEN_MISSING");
    if (!good.has(header)) throw refusal(Code.Unauthenticated, "ACCESS_TOKEN_INVALID");
    return header;
  };
  const answers = {
    users: {
      authenticate: ({ refreshTokenInCookie }) => grant(refreshTokenInCookie),
      refreshToken: async ({ refreshToken }) => {
        spent.push(refreshToken);
        if (refreshToken === "" && userId === "nobody") throw refusal(Code.Unauthenticated, "REFRESH_TOKEN_INVALID");
        const granted = grant(refreshToken === "");
        await more.refreshed?.();
        return granted;
      },
      signOut: async (_, context) => {
        admit(context);
        good.clear();
        await more.signedOut?.();
        return {};
      },
    },
    orders: {
      getOrdersByUser: (_, context) => ({ nextPageToken: admit(context) }),
      cancelOrder: (_, context) => {
        admit(context);
        return {};
      },
    },
    inventory: {
      listProducts: (_, { requestHeader }) => ({ nextPageToken: requestHeader.get("authorization") ?? "" }),
    },
  } satisfies Answers;
  return {
    transport: transportTo(answers),
    spent,
    /** Makes all access tokens invalid, as if expired or revoked. */
    forget: () => good.clear(),
    /** Changes the user of the browser's cookie. */
    become: (next: string) => (userId = next),
  };
}

test("calls carry the signed-in user's token, and PUBLIC methods none", async () => {
  const { transport } = server();
  const shop = createShop({ transport });
  expect(reasonOf(await errorOf(shop.orders.getOrdersByUser({})))).toBe("ACCESS_TOKEN_MISSING");
  expect(await shop.session.signIn(credentials)).toEqual({ userId: "user_a", sessionId: "session_user_a" });
  expect((await shop.orders.getOrdersByUser({})).nextPageToken).toBe("Bearer user_a-1");
  expect((await shop.inventory.listProducts({})).nextPageToken).toBe("");
});

describe("a refused access token", () => {
  test("is renewed once for all calls, including those that can't be retried", async () => {
    const { transport, forget, spent } = server();
    const shop = createShop({ transport });
    await shop.session.signIn(credentials);
    forget();
    const calls = Array.from({ length: 8 }, () => shop.orders.getOrdersByUser({}));
    await Promise.all([...calls, shop.orders.cancelOrder({})]);
    expect(spent).toEqual(["refresh-user_a-1"]);
    forget();
    await shop.orders.getOrdersByUser({});
    expect(spent).toEqual(["refresh-user_a-1", "refresh-user_a-2"]);
  });

  test("is not renewed again for a call that is refused after the renewal", async () => {
    const { transport, forget, spent } = server();
    const held = Promise.withResolvers<void>();
    let isLate = false;
    const late = createShop({
      transport: {
        ...transport,
        async unary(...call) {
          const isHeld = isLate;
          isLate = false;
          try {
            return await transport.unary(...call);
          } finally {
            if (isHeld) await held.promise;
          }
        },
      },
    });
    await late.session.signIn(credentials);
    forget();
    isLate = true;
    const slow = late.orders.getOrdersByUser({});
    await late.orders.getOrdersByUser({});
    held.resolve();
    expect((await slow).nextPageToken).toBe("Bearer user_a-2");
    expect(spent).toEqual(["refresh-user_a-1"]);
  });

  test("is renewed before it expires", async () => {
    const { transport, spent } = server({ expiresInSeconds: 0 });
    const shop = createShop({ transport });
    await shop.session.signIn(credentials);
    expect((await shop.orders.getOrdersByUser({})).nextPageToken).toBe("Bearer user_a-2");
    expect(spent).toHaveLength(1);
  });

  test("ends the call when the next token is refused, too", async () => {
    const { transport, forget, spent } = server({ refreshed: async () => forget() });
    const shop = createShop({ transport });
    await shop.session.signIn(credentials);
    forget();
    expect(reasonOf(await errorOf(shop.orders.getOrdersByUser({})))).toBe("ACCESS_TOKEN_INVALID");
    expect(spent).toHaveLength(1);
  });

  test("ends the session when it can't be renewed", async () => {
    const { transport, forget, become } = server();
    const shop = createShop({ transport, refreshToken: "cookie" });
    const users: unknown[] = [];
    shop.session.onChange((user) => users.push(user?.userId));
    await shop.session.signIn(credentials);
    forget();
    become("nobody");
    expect(reasonOf(await errorOf(shop.orders.getOrdersByUser({})))).toBe("SESSION_ENDED");
    expect(shop.session.user).toBeUndefined();
    expect(users).toEqual(["user_a", undefined]);
  });
});

describe("a call is never made as another user", () => {
  test("who signed in in another tab of the browser", async () => {
    const { transport, forget, become } = server();
    const shop = createShop({ transport, refreshToken: "cookie" });
    await shop.session.signIn(credentials);
    become("user_b");
    forget();
    expect(reasonOf(await errorOf(shop.orders.getOrdersByUser({})))).toBe("SESSION_ENDED");
    expect(shop.session.user).toBeUndefined();
  });

  test("who signed in here while the token was renewed", async () => {
    const renewal = Promise.withResolvers<void>();
    const { transport, forget, become, spent } = server({ refreshed: () => renewal.promise });
    const shop = createShop({ transport });
    await shop.session.signIn(credentials);
    forget();
    const call = errorOf(shop.orders.getOrdersByUser({}));
    await vi.waitFor(() => expect(spent).toHaveLength(1));
    become("user_b");
    await shop.session.signIn(credentials);
    renewal.resolve();
    expect(reasonOf(await call)).toBe("SESSION_ENDED");
    expect((await shop.orders.getOrdersByUser({})).nextPageToken).toMatch(/^Bearer user_b-/);
  });
});

describe("in a browser, with the cookie,", () => {
  test("a reloaded page resumes the session with one request", async () => {
    const { transport, spent } = server();
    const shop = createShop({ transport, refreshToken: "cookie" });
    const resumed = await Promise.all([shop.session.resume(), shop.session.resume()]);
    expect(resumed.map((user) => user?.userId)).toEqual(["user_a", "user_a"]);
    expect(spent).toEqual([""]);
  });

  test("no user is signed in without a cookie", async () => {
    const { transport, become } = server();
    become("nobody");
    expect(await createShop({ transport, refreshToken: "cookie" }).session.resume()).toBeUndefined();
  });
});

test("a user stays signed out when a renewal in progress ends after the sign-out", async () => {
  const renewal = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const { transport, spent } = server({ refreshed: () => renewal.promise, signedOut: () => end.promise });
  const shop = createShop({ transport });
  await shop.session.signIn(credentials);
  const signedOut = shop.session.signOut();
  const call = errorOf(shop.orders.getOrdersByUser({}));
  await vi.waitFor(() => expect(spent).toHaveLength(1));
  end.resolve();
  await signedOut;
  expect(shop.session.user).toBeUndefined();
  renewal.resolve();
  expect(reasonOf(await call)).toBe("SESSION_ENDED");
  expect(shop.session.user).toBeUndefined();
});
