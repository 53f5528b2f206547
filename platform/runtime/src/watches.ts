import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { actorOf, callerOf, type Revocations, tokenExpired, tokenRevoked } from "@shop/auth";
import { DomainError, FairShares } from "@shop/core";
import { clientAddressOf, networkOf, networksPerSite, sharersOf } from "@shop/http-port";
import type { Changes } from "@shop/mongo";

/**
 * Why it is a watcher's turn: its watch has begun, its document may have changed since its last turn, or nothing has happened
 * for a while and the caller wants to know that all is well.
 */
export type Turn = "opened" | "changed" | "quiet";

/**
 * The turns of one watcher, taken as its caller reads. Between two turns it keeps one flag and nothing else, whatever happens
 * to the document and however slowly the caller reads.
 */
export interface Watch extends AsyncIterable<Turn> {
  /** Asks for another turn at once: there is more than was read in this one. */
  again(): void;
}

/**
 * Watches a document for the caller of a streaming method. Rejects, in place of a turn, when the caller has gone or its
 * deadline has passed, UNAUTHENTICATED when its token has expired or was revoked, SERVICE_STOPPING when the process drains, and
 * TOO_MANY_WATCHES before the first one, when there are as many as may be, or the caller or its network has its share of them.
 * Whatever ends it, the document is let go of at that moment.
 */
export type WatchFor = (id: string, context: WatchContext) => Watch;

type WatchContext = Pick<HandlerContext, "signal" | "values" | "requestHeader">;

/** A stream without news says so this often: longer than that, proxies and clients take it for dead. */
const defaultQuietMs = 30_000;

/**
 * The watches of one kind of document in this process: `max` at the same time, `maxPerCaller` of them one caller's and
 * `maxPerNetwork` one network's, whichever accounts it uses; 0 for no limit. Of the last quarter the largest holders get none.
 */
export function createWatches(options: {
  readonly changes: Changes;
  readonly revocations: Pick<Revocations, "whenRevoked">;
  readonly max: number;
  readonly maxPerCaller: number;
  /** For an address of IPv4 or a /64 of IPv6; a /24 or /48 has {@link networksPerSite} times as many. */
  readonly maxPerNetwork: number;
  /** Fires when the process begins to drain. */
  readonly stopping: AbortSignal;
  readonly quietMs?: number;
}): WatchFor {
  const { changes, revocations, stopping, quietMs = defaultQuietMs } = options;
  const open = new Set<(reason: unknown) => void>();
  const { max, maxPerCaller, maxPerNetwork } = options;
  const shares = new FairShares(max, [maxPerCaller, maxPerNetwork, maxPerNetwork * networksPerSite]);
  stopping.addEventListener("abort", () => {
    for (const end of open) end(serviceStopping());
  });

  return (id, context) => {
    const { signal } = context;
    let pending: Turn | undefined = "opened";
    let ended: { readonly reason: unknown } | undefined;
    let wake = () => {};
    const again = () => {
      pending ??= "changed";
      wake();
    };

    async function* turns(): AsyncGenerator<Turn> {
      if (signal.aborted) throw ConnectError.from(signal.reason);
      if (stopping.aborted) throw serviceStopping();
      const holders = holdersOf(context);
      if (!shares.take(holders)) throw tooManyWatches();
      const caller = callerOf(context);
      const expireTime = caller.kind === "user" ? caller.token?.expireTime : undefined;
      const expiry =
        expireTime && setTimeout(() => end(tokenExpired()), Math.max(0, expireTime.getTime() - Date.now()));
      const unwatch = revocations.whenRevoked(caller, () => end(tokenRevoked()));
      const unsubscribe = changes.subscribe(id, again);
      const callerGone = () => end(ConnectError.from(signal.reason));
      // Not left to the generator alone: one whose caller does not read is never asked to finish.
      const end = (reason?: unknown) => {
        if (!open.delete(end)) return;
        shares.release(holders);
        ended = { reason };
        clearTimeout(expiry);
        unwatch();
        unsubscribe();
        signal.removeEventListener("abort", callerGone);
        wake();
      };
      open.add(end);
      signal.addEventListener("abort", callerGone);
      try {
        for (;;) {
          if (ended === undefined && pending === undefined) await somethingOrQuiet();
          if (ended !== undefined) throw ended.reason;
          const turn = pending ?? "quiet";
          pending = undefined;
          yield turn;
        }
      } finally {
        end();
      }
    }

    async function somethingOrQuiet(): Promise<void> {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, quietMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }

    return { [Symbol.asyncIterator]: turns, again };
  };
}

/** Whose watches count together: an account's, or those of a network's callers without one; then those of the networks. */
function holdersOf(context: WatchContext): readonly string[] {
  const caller = callerOf(context);
  const address = clientAddressOf(context);
  return [caller.kind === "anonymous" ? networkOf(address) : actorOf(caller), ...sharersOf(address)];
}

function tooManyWatches(): DomainError {
  return new DomainError("resource_exhausted", "TOO_MANY_WATCHES", "too many are watching just now", {
    retryAfterMs: 5_000,
  });
}

function serviceStopping(): DomainError {
  return new DomainError("unavailable", "SERVICE_STOPPING", "this process stops: watch on at another one", {
    retryAfterMs: 0,
  });
}
