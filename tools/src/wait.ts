import { setTimeout as sleep } from "node:timers/promises";

/** Options of `waitUntil`; all times in milliseconds. */
export interface WaitOptions {
  /** The condition, for the error: "mongodb accepts writes". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
  /** Ends the wait early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** A reason to fail at once (such as a dead process), checked before each attempt. */
  readonly hopeless?: () => string | undefined;
}

/**
 * Repeats `check` until its result is neither undefined nor false, and returns it.
 * A check that throws counts as "not yet"; its last message becomes part of the error.
 * @throws Error after `timeoutMs`, when hopeless, or when the signal aborts.
 */
export async function waitUntil<T>(
  check: () => Promise<T | undefined | false> | T | undefined | false,
  options: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + options.timeoutMs;
  let last = "";
  for (;;) {
    options.signal?.throwIfAborted();
    const hopeless = options.hopeless?.();
    if (hopeless !== undefined) throw new Error(hopeless);
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${options.timeoutMs / 1000} s without success until ${options.what}${last}`);
    }
    await sleep(options.everyMs ?? 25, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}
