import { hash, verify } from "@node-rs/argon2";
import { newSecret } from "@shop/platform";
import { tooManyPasswordHashes } from "./domain/errors.ts";

/** OWASP's parameters for Argon2id: 19 MiB, 2 passes, 1 lane (about 10 ms of one core). */
const parameters = { algorithm: 2 /* Argon2id */, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** Password hashing, bounded: hashing is the most expensive thing a stranger can make us do. */
export interface Passwords {
  hash(password: string): Promise<string>;
  /** Takes as long, and answers false, when there is no hash: so that time does not tell which names exist. */
  verify(passwordHash: string | undefined, password: string): Promise<boolean>;
}

/** At most `atOnce` are computed and `waiting` queued; one more is RESOURCE_EXHAUSTED. */
export async function createPasswords(limits: {
  readonly atOnce: number;
  readonly waiting: number;
}): Promise<Passwords> {
  const queue: (() => void)[] = [];
  let running = 0;

  async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (running < limits.atOnce) running++;
    else if (queue.length < limits.waiting) await new Promise<void>((resolve) => queue.push(resolve));
    else throw tooManyPasswordHashes();
    try {
      return await work();
    } finally {
      // The place goes straight to the next in the queue, so that a newcomer can't take it.
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  const nobodysHash = await hash(newSecret(), parameters);
  return {
    hash: (password) => inTurn(() => hash(password, parameters)),
    async verify(passwordHash, password) {
      const matches = await inTurn(() => verify(passwordHash ?? nobodysHash, password));
      return matches && passwordHash !== undefined;
    },
  };
}
