import { ConnectError, type HandlerContext } from "@connectrpc/connect";
import { tokenExpired, tokenRevoked } from "../auth/access-tokens.ts";
import { actorOf } from "../auth/principal.ts";
import type { Revocations } from "../auth/revocations.ts";
import { DomainError } from "../errors.ts";
import type { Changes } from "../mongo/changes.ts";
import { callerOf } from "./access.ts";
import { clientAddressOf, networkOf } from "./client-address.ts";

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
 * TOO_MANY_WATCHES before the first one, when there are as many as may be or the caller has as many as one may have. Whatever ends it, the document is let go of at that moment.
 */
export type WatchFor = (id: string, context: WatchContext) => Watch;

type WatchContext = Pick<HandlerContext, "signal" | "values" | "requestHeader">;

/** A stream without news says so this often: longer than that, proxies and clients take it for dead. */
const defaultQuietMs = 30_000;

/** The watches of one kind of document in this process: `max` at the same time, `maxPerCaller` of them one caller's. */
export function createWatches(options: {
  readonly changes: Changes;
  readonly revocations: Pick<Revocations, "whenRevoked">;
  readonly max: number;
  readonly maxPerCaller: number;
  /** Fires when the process begins to drain. */
  readonly stopping: AbortSignal;
  readonly quietMs?: number;
}): WatchFor {
  const { changes, revocations, max, maxPerCaller, stopping, quietMs = defaultQuietMs } = options;
  const open = new Set<(reason: unknown) => void>();
  const openBy = new Map<string, number>();
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
      const watcher = watcherOf(context);
      const others = openBy.get(watcher) ?? 0;
      if (open.size >= max || others >= maxPerCaller) throw tooManyWatches();
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
        const left = openBy.get(watcher)! - 1;
        if (left > 0) openBy.set(watcher, left);
        else openBy.delete(watcher);
        ended = { reason };
        clearTimeout(expiry);
        unwatch();
        unsubscribe();
        signal.removeEventListener("abort", callerGone);
        wake();
      };
      open.add(end);
      openBy.set(watcher, others + 1);
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

/** Whose watches count together: an account's, or those of a network that nobody is known from. */
function watcherOf(context: WatchContext): string {
  const caller = callerOf(context);
  return caller.kind === "anonymous" ? networkOf(clientAddressOf(context)) : actorOf(caller);
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
