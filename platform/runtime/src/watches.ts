import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { actorOf, callerOf, type Revocations, tokenExpired, tokenRevoked } from "@shop/auth";
import { DomainError, FairShares } from "@shop/core";
import { clientAddressOf, networkOf, networksPerSite, sharersOf } from "@shop/http-port";
import type { Changes } from "./changes.ts";

/**
 * Why a watcher gets a turn: its watch has begun, its document may have changed since its last turn, or nothing has happened
 * for a while and a keep-alive is due.
 */
export type Turn = "opened" | "changed" | "idle";

/**
 * The turns of one watcher, taken as its caller reads. Between two turns it keeps only one flag, however often the document
 * changes and however slowly the caller reads.
 */
export interface Watch extends AsyncIterable<Turn> {
  /** The version of the document in the last read, as in {@link Changes}. To be set after each read. */
  version: number | undefined;
  /** Requests another turn at once, if more remains than was read in this one. */
  again(): void;
}

/**
 * Watches a document for the caller of a streaming method. A turn rejects when the caller has gone or its deadline has passed,
 * with UNAUTHENTICATED when its token has expired or was revoked, and with SERVICE_STOPPING when the process drains. The first
 * turn rejects with TOO_MANY_WATCHES if the limit, or the share of the caller or its network, is used up. However it ends, the
 * subscription ends at that moment.
 */
export type WatchFor = (id: string, context: WatchContext) => Watch;

type WatchContext = Pick<HandlerContext, "signal" | "values" | "requestHeader">;

/** The interval of keep-alives: after a longer silence proxies and clients consider a stream dead. */
const defaultKeepAliveMs = 30_000;

/**
 * The watches of one kind of document in this process: at most `max`, of which `maxPerCaller` for one caller and
 * `maxPerNetwork` for one network, whichever accounts it uses; 0 means unlimited. The last quarter is not available to the
 * largest holders.
 */
export function createWatches(options: {
  readonly changes: Changes;
  readonly revocations: Pick<Revocations, "whenRevoked">;
  readonly max: number;
  readonly maxPerCaller: number;
  /** For an IPv4 address or an IPv6 /64; a /24 or /48 has {@link networksPerSite} times as many. */
  readonly maxPerNetwork: number;
  /** Fires when the process begins to drain. */
  readonly stopping: AbortSignal;
  readonly keepAliveMs?: number;
}): WatchFor {
  const { changes, revocations, stopping, keepAliveMs = defaultKeepAliveMs } = options;
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
      const unsubscribe = changes.subscribe(id, { version: () => watch.version, wake: again });
      const callerGone = () => end(ConnectError.from(signal.reason));
      // Not left to the generator: if its caller does not read, it is never asked to finish.
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
          if (ended === undefined && pending === undefined) await changedOrIdle();
          if (ended !== undefined) throw ended.reason;
          const turn = pending ?? "idle";
          pending = undefined;
          yield turn;
        }
      } finally {
        end();
      }
    }

    async function changedOrIdle(): Promise<void> {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, keepAliveMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }

    const watch: Watch = { [Symbol.asyncIterator]: turns, version: undefined, again };
    return watch;
  };
}

/** The holders that a watch counts for: the account, or the network of an anonymous caller; then the networks. */
function holdersOf(context: WatchContext): readonly string[] {
  const caller = callerOf(context);
  const address = clientAddressOf(context);
  return [caller.kind === "anonymous" ? networkOf(address) : actorOf(caller), ...sharersOf(address)];
}

function tooManyWatches(): DomainError {
  return new DomainError("resource_exhausted", "TOO_MANY_WATCHES", "too many watches are open", {
    retryAfterMs: 5_000,
  });
}

function serviceStopping(): DomainError {
  return new DomainError(
    "unavailable",
    "SERVICE_STOPPING",
    "this process is stopping: continue watching at another one",
    {
      retryAfterMs: 0,
    },
  );
}
