import { Code, ConnectError } from "@connectrpc/connect";
import { retryAfterMs } from "./errors.ts";

const firstMs = 100;
const longestMs = 10_000;

/**
 * How long to wait before a call is repeated for the `attempt`-th time, 1 for the first: longer and longer, and never less than
 * the server asked for. Random, so that the clients that a fault has hit do not all come back at the same moment.
 */
export function pauseMs(error: ConnectError, attempt: number): number {
  const asked = (retryAfterMs(error) ?? 0) * (1 + Math.random() / 4);
  const ours = Math.min(longestMs, firstMs * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2);
  return Math.max(asked, ours);
}

/** Waits. Throws CANCELED, or the ConnectError that the signal was aborted with, as soon as it is. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await unlessAborted(new Promise<void>((resolve) => (timer = setTimeout(resolve, ms))), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** What the promise comes to. Throws as `pause` does when the signal is aborted first; what the promise stands for goes on. */
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
