import { Code, ConnectError } from "@connectrpc/connect";
import { retryAfterMs } from "./errors.ts";

const firstMs = 100;
const longestMs = 10_000;

/**
 * Exponential backoff with jitter, and no shorter than the server's retry delay.
 *
 * @param attempt the number of the failed attempt, from 1
 */
export function pauseMs(error: ConnectError, attempt: number): number {
  const requested = (retryAfterMs(error) ?? 0) * (1 + Math.random() / 4);
  const backoff = Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
  return Math.max(requested, backoff);
}

/** Waits. When the signal aborts, throws CANCELED, or the ConnectError that is its reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await unlessAborted(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** Settles like the promise, or throws like `pause` when the signal aborts first; the promise's work is not stopped. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const canceled = () => ConnectError.from(signal.reason, Code.Canceled);
  if (signal.aborted) throw canceled();
  let stopListening = () => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = () => reject(canceled());
    signal.addEventListener("abort", onAbort, { once: true });
    stopListening = () => signal.removeEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stopListening();
  }
}
