/** Nobody waits longer for another attempt because of their own failures. */
const ownMaxSeconds = 15 * 60;
/** And nobody longer because of somebody else's: so that they cannot lock an account. */
const othersMaxSeconds = 60;

/** What a wait depends on: how often signing in to an account failed lately. */
export interface Failures {
  /** From the client's own address. */
  readonly own: number;
  /** From anywhere; 0 for an address from which the account was signed in to before. */
  readonly anywhere: number;
}

/** Seconds until the next attempt: none for the first `free` failures, then 1, 2, 4 ... */
export function waitSeconds({ own, anywhere }: Failures, free: number): number {
  const doubling = (failures: number, max: number) => (failures < free ? 0 : Math.min(2 ** (failures - free), max));
  return Math.max(doubling(own, ownMaxSeconds), doubling(anywhere, othersMaxSeconds));
}
