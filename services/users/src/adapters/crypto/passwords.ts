import { Worker } from "node:worker_threads";
import { FairShares, newSecret } from "@shop/core";
import { networksPerSite, sharersOf } from "@shop/http-port";
import { tooManyPasswordHashes } from "../../domain/errors.ts";
import { opaqueString } from "../../domain/opaque-string.ts";
import type { HashCost, PasswordAnswer, PasswordRequest } from "./password-worker.ts";

/** Of what may be computed and wait callers get this part who have not signed in before; the rest is for those who have. */
const newcomersPart = 0.7;

/** For whom a hash is computed. */
export interface HashCaller {
  /** Of the client. */
  readonly address: string;
  /** Whether the account was signed in to from there before. */
  readonly isKnown: boolean;
}

export interface PasswordMatch {
  readonly matches: boolean;
  /** The hash was made at less than what one costs now, or of another form: to be replaced, now that the password is known. */
  readonly isOutdated: boolean;
}

/**
 * Password hashing, bounded: hashing is the most expensive thing a stranger can make us do. Who gives up while waiting leaves
 * the queue: `signal` is the call's, and its reason is what is thrown then.
 */
export interface Passwords {
  /** Hashes the password in the form of {@link opaqueString}. */
  hash(password: string, signal?: AbortSignal, caller?: HashCaller): Promise<string>;
  /**
   * Compares a password with a hash, also with one that an earlier release made of the password as it was typed. That costs a
   * second hash where the password has another form. It is computed whatever happens, and nothing matches when there is no hash
   * to compare with: so that time does not tell which names exist.
   */
  verify(
    passwordHash: string | undefined,
    password: string,
    signal?: AbortSignal,
    caller?: HashCaller,
  ): Promise<PasswordMatch>;
  /** Ends the threads that compute; what waits for them is never answered. */
  close(): Promise<void>;
}

/**
 * At most `atOnce` are computed and `waiting` queued, `perNetwork` of them for one network and {@link networksPerSite} times as many
 * for one site, 0 for no limit. One more is RESOURCE_EXHAUSTED. In a crowd the largest holders are refused first, and known callers go
 * ahead of those that wait, but for one hash in four.
 */
export async function createPasswords(limits: {
  readonly cost: HashCost;
  readonly atOnce: number;
  readonly waiting: number;
  readonly perNetwork?: number;
}): Promise<Passwords> {
  const workers = Array.from({ length: limits.atOnce }, () => startWorker(limits.cost));
  const { perNetwork = 0 } = limits;
  const most = limits.atOnce + limits.waiting;
  const shares = new FairShares(most, [perNetwork, perNetwork * networksPerSite]);
  let lastId = 0;

  /** The hash of a password, or, given one, whether it is that of the password. */
  async function compute<Result>(
    password: string,
    passwordHash: string | undefined,
    signal: AbortSignal | undefined,
    caller: HashCaller | undefined,
  ) {
    signal?.throwIfAborted();
    const isNewcomer = caller !== undefined && !caller.isKnown;
    if (isNewcomer && shares.used >= most * newcomersPart) throw tooManyPasswordHashes();
    const holders = caller === undefined ? [] : sharersOf(caller.address);
    if (!shares.take(holders)) throw tooManyPasswordHashes();
    const id = ++lastId;
    const { pending: mine, send } = workers.reduce((least, worker) =>
      worker.pending.size < least.pending.size ? worker : least,
    );
    return await new Promise<Result>((resolve, reject) => {
      const leave = () => {
        mine.delete(id);
        shares.release(holders);
        send({ leave: id });
        reject(signal?.reason);
      };
      mine.set(id, (answer) => {
        mine.delete(id);
        shares.release(holders);
        signal?.removeEventListener("abort", leave);
        if ("error" in answer) reject(answer.error);
        else resolve(answer.result as Result);
      });
      signal?.addEventListener("abort", leave, { once: true });
      send({ id, password, passwordHash, isKnown: !isNewcomer });
    });
  }

  const nobodysHash = await compute<string>(newSecret(), undefined, undefined, undefined);
  function isCheap(passwordHash: string): boolean {
    const [, m, t, p] = /[$]m=(\d+),t=(\d+),p=(\d+)[$]/.exec(passwordHash) ?? [];
    return Number(m) < limits.cost.memoryKib || Number(t) < limits.cost.passes || Number(p) < limits.cost.lanes;
  }

  return {
    hash: (password, signal, caller) => compute<string>(opaqueString(password), undefined, signal, caller),
    async verify(passwordHash = nobodysHash, password, signal, caller) {
      const compare = async (form: string) => await compute<boolean>(form, passwordHash, signal, caller);
      const normalized = opaqueString(password);
      const isCurrent = await compare(normalized);
      const isEarlier = !isCurrent && normalized !== password && (await compare(password));
      return {
        matches: (isCurrent || isEarlier) && passwordHash !== nobodysHash,
        isOutdated: isEarlier || isCheap(passwordHash),
      };
    },
    async close() {
      await Promise.all(workers.map(({ terminate }) => terminate()));
    },
  };
}

function startWorker(cost: HashCost) {
  const worker = new Worker(new URL("./password-worker.ts", import.meta.url), {
    workerData: cost,
    // What is preloaded into the process (--import) is meant for the process.
    execArgv: [],
  });
  worker.unref();
  /** What it computes or has queued, by number. */
  const pending = new Map<number, (answer: PasswordAnswer) => void>();
  worker.on("message", (answers: readonly PasswordAnswer[]) => {
    for (const answer of answers) pending.get(answer.id)?.(answer);
  });
  return {
    pending,
    send: (request: PasswordRequest) => worker.postMessage(request),
    terminate: () => worker.terminate(),
  };
}
