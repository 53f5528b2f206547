import { createHash } from "node:crypto";
import type { HandlerContext } from "@connectrpc/connect";
import { clientAddressOf, networkOf } from "@shop/http-port";
import { type Limits, setRateLimitHeaders } from "@shop/runtime";
import { tooManyFailures, tooManySignIns } from "../domain/errors.ts";
import { waitSeconds } from "../domain/slow-down.ts";
import { usernameKey } from "../domain/user.ts";

const hour = 60 * 60;
/** Beyond the limit of an address, an account that has signed in from it before may have this part of the limit per minute. */
const reservedPart = 1 / 10;

type Context = Pick<HandlerContext, "requestHeader" | "responseHeader">;

/** Limits for trying passwords and creating accounts (docs/decisions/0018-sign-in-limits.md). */
export interface SignInLimits {
  /** Counts a request of this client. Throws SIGN_IN_RATE_EXCEEDED when there were too many from its address. */
  countClient(context: Context): Promise<void>;
  /**
   * Counts the client, then calls `check`, which returns undefined for a wrong password; `isKnown` says whether the account has signed in
   * from that network before. Throws SIGN_IN_SLOWED_DOWN, without calling it, while the wait after too many failures is not over.
   */
  attempt<Found>(
    username: string,
    context: Context,
    check: (isKnown: boolean) => Promise<Found | undefined>,
  ): Promise<Found | undefined>;
}

export function createSignInLimits(
  limits: Limits,
  config: { readonly perMinute: number; readonly freeFailures: number },
): SignInLimits {
  const clients = limits.limiter({ name: "sign-in-client", points: config.perMinute, seconds: 60 });
  // A customer who shares an address with an attacker can still sign in where they have signed in before.
  const reserved = limits.limiter({
    name: "sign-in-reserved",
    points: Math.max(1, Math.ceil(config.perMinute * reservedPart)),
    seconds: 60,
  });
  const failures = limits.limiter({ name: "sign-in-failures", seconds: hour });
  const anywhere = limits.limiter({ name: "sign-in-failures-anywhere", seconds: hour });
  const turns = limits.limiter({ name: "sign-in-turn", points: 1, seconds: hour });
  const known = limits.limiter({ name: "sign-in-known", seconds: 14 * 24 * hour });

  /** @param pair the account and the network, for a sign-in */
  async function countClient(context: Context, pair?: string): Promise<void> {
    const taken = await clients.take(networkOf(clientAddressOf(context)));
    setRateLimitHeaders(context, "client", clients, taken);
    if (taken.isAllowed) return;
    const isReserved = pair !== undefined && (await known.count(pair)) > 0 && (await reserved.take(pair)).isAllowed;
    if (!isReserved) throw tooManySignIns(taken.resetMs);
  }

  return {
    countClient: (context) => countClient(context),
    async attempt(username, context, check) {
      const account = createHash("sha256").update(usernameKey(username)).digest("base64url");
      const pair = `${account}:${networkOf(clientAddressOf(context))}`;
      await countClient(context, pair);
      // Counts as a failure until the check succeeds: otherwise concurrent attempts would all be the first.
      const [{ count }, elsewhere, knownFor] = await Promise.all([
        failures.take(pair),
        anywhere.count(account),
        known.count(pair),
      ]);
      const isKnown = knownFor > 0;
      const wait = waitSeconds({ own: count - 1, anywhere: isKnown ? 0 : elsewhere }, config.freeFailures);
      if (wait > 0) {
        const turn = await turns.take(pair, wait);
        // If only other addresses failed, this address's first attempt starts its wait, and stays counted so that the next one may succeed.
        if (count > 1 && !turn.isAllowed) await failures.giveBack(pair);
        if (count === 1 || !turn.isAllowed) throw tooManyFailures(turn.resetMs);
      }

      const found = await check(isKnown).catch(async (error: unknown) => {
        await failures.giveBack(pair);
        throw error;
      });
      if (found !== undefined) {
        // Each of these is a Redis command, which most sign-ins don't need: they have no failures and a known network.
        await Promise.all([
          failures.forget(pair),
          count === 1 && wait === 0 ? undefined : turns.forget(pair),
          isKnown ? undefined : known.take(pair),
        ]);
        return found;
      }
      const failedAnywhere = await anywhere.take(account);
      const pause = waitSeconds({ own: count, anywhere: isKnown ? 0 : failedAnywhere.count }, config.freeFailures);
      if (pause > 0) await turns.bar(pair, pause);
      return undefined;
    },
  };
}
