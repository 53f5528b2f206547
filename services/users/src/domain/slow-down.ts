/** The longest wait for failures from the client's own network. */
const ownMaxSeconds = 15 * 60;
/** The longest wait for failures from other networks. Short, so that an attacker can't lock an account. */
const othersMaxSeconds = 60;

/** Recent failed sign-ins to an account. */
export interface Failures {
  /** From the client's network. */
  readonly own: number;
  /** From any network; 0 if the account has signed in from the client's network before. */
  readonly anywhere: number;
}

/** Seconds until the next attempt: 0 for the first `free` failures, then 1, 2, 4 ... */
export function waitSeconds({ own, anywhere }: Failures, free: number): number {
  const doubling = (failures: number, max: number) => (failures < free ? 0 : Math.min(2 ** (failures - free), max));
  return Math.max(doubling(own, ownMaxSeconds), doubling(anywhere, othersMaxSeconds));
}
