import { setTimeout as delay } from "node:timers/promises";
import { hash, verify } from "@node-rs/argon2";
import { newSecret } from "@shop/platform";
import { tooManyPasswordHashes } from "./domain/errors.ts";

/** What one hash costs: the parameters of Argon2id (RFC 9106). */
export interface HashCost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/**
 * Password hashing, bounded: hashing is the most expensive thing a stranger can make us do. Who gives up while waiting leaves
 * the queue: `signal` is the call's, and its reason is what is thrown then.
 */
export interface Passwords {
  hash(password: string, signal?: AbortSignal): Promise<string>;
  /**
   * Computes one hash whatever happens, and answers false when there is nothing to compare it with: so that time does not tell
   * which names exist.
   */
  verify(passwordHash: string | undefined, password: string, signal?: AbortSignal): Promise<boolean>;
  /** Whether the hash was made at less than what one costs now. */
  isOutdated(passwordHash: string): boolean;
}

/** When so many wait, they wait for longer than a lot gathers. */
const crowd = 40;
/** How long a lot gathers. */
const lotMs = 200;

/** At most `atOnce` are computed and `waiting` queued; one more is RESOURCE_EXHAUSTED. */
export async function createPasswords(limits: {
  readonly cost: HashCost;
  readonly atOnce: number;
  readonly waiting: number;
}): Promise<Passwords> {
  const { memoryKib, passes, lanes } = limits.cost;
  const parameters = { algorithm: 2 /* Argon2id */, memoryCost: memoryKib, timeCost: passes, parallelism: lanes };
  /** In the order in which they came. */
  const queue = new Set<() => void>();
  let running = 0;

  let lot: Promise<void> | undefined;

  /**
   * In a crowd results come out in lots: what follows each of them, a session, an event, a few counters, an answer, is then
   * written together with that of the others, which costs a fraction of writing it alone. The next is computed meanwhile.
   */
  function outOfTheCrowd(): Promise<void> | undefined {
    if (queue.size < crowd) return undefined;
    lot ??= delay(lotMs).then(() => {
      lot = undefined;
    });
    return lot;
  }

  async function inTurn<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    if (running < limits.atOnce) running++;
    else if (queue.size < limits.waiting) await turn(signal);
    else throw tooManyPasswordHashes();
    try {
      return await work();
    } finally {
      // The place goes straight to the next in the queue, so that a newcomer can't take it.
      const [next] = queue;
      if (next === undefined) running--;
      else next();
    }
  }

  function turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = () => {
        queue.delete(next);
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        queue.delete(next);
        reject(signal?.reason);
      };
      queue.add(next);
      signal?.addEventListener("abort", leave, { once: true });
    });
  }

  const nobodysHash = await hash(newSecret(), parameters);
  return {
    hash: (password, signal) => inTurn(() => hash(password, parameters), signal),
    async verify(passwordHash, password, signal) {
      const matches = await inTurn(() => verify(passwordHash ?? nobodysHash, password), signal);
      await outOfTheCrowd();
      return matches && passwordHash !== undefined;
    },
    isOutdated(passwordHash) {
      const [, m, t, p] = /[$]m=(\d+),t=(\d+),p=(\d+)[$]/.exec(passwordHash) ?? [];
      return Number(m) < memoryKib || Number(t) < passes || Number(p) < lanes;
    },
  };
}
