import { Worker } from "node:worker_threads";
import { FairShares, newSecret } from "@shop/core";
import { networksPerSite, sharersOf } from "@shop/http-port";
import type { HashCaller, Passwords } from "../../application/ports/passwords.ts";
import { tooManyPasswordHashes } from "../../domain/errors.ts";
import { opaqueString } from "../../domain/opaque-string.ts";
import type { HashCost, PasswordAnswer, PasswordRequest } from "./password-worker.ts";

/** The part of all hashes, computed and waiting, that callers may use who have not signed in before. */
const newcomersPart = 0.7;

/**
 * Computes at most `atOnce` hashes at a time and queues `waiting`; of both together one network may have `perNetwork`, and one site
 * {@link networksPerSite} times as many; 0 means no limit. Further ones throw SIGN_IN_BUSY. Near the limit the largest holders are refused
 * first. Known callers are served before others, except for one hash in four.
 */
export async function createPasswords(limits: {
  readonly cost: HashCost;
  readonly atOnce: number;
  readonly waiting: number;
  readonly perNetwork?: number;
}): Promise<Passwords> {
  const workers: ReturnType<typeof startWorker>[] = [];
  const { perNetwork = 0 } = limits;
  const most = limits.atOnce + limits.waiting;
  const shares = new FairShares(most, [perNetwork, perNetwork * networksPerSite]);
  let lastId = 0;

  /** The thread with the fewest jobs. While all have some another one is started, up to `atOnce`: a thread takes 12 MiB. */
  function leastBusy() {
    const [least] = workers.toSorted((a, b) => a.pending.size - b.pending.size);
    if (least !== undefined && (least.pending.size === 0 || workers.length === limits.atOnce)) return least;
    const added = startWorker(limits.cost);
    workers.push(added);
    return added;
  }

  /** Hashes a password, or compares it with `passwordHash`. */
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
    const { pending, send } = leastBusy();
    return await new Promise<Result>((resolve, reject) => {
      const cancel = () => {
        pending.delete(id);
        shares.release(holders);
        send({ cancel: id });
        reject(signal?.reason);
      };
      pending.set(id, (answer) => {
        pending.delete(id);
        shares.release(holders);
        signal?.removeEventListener("abort", cancel);
        if ("error" in answer) reject(answer.error);
        else resolve(answer.result as Result);
      });
      signal?.addEventListener("abort", cancel, { once: true });
      send({ id, password, passwordHash, isKnown: !isNewcomer });
    });
  }

  /** Compared with when an account does not exist. */
  const dummyHash = await compute<string>(newSecret(), undefined, undefined, undefined);
  function isCheap(passwordHash: string): boolean {
    const [, m, t, p] = /[$]m=(\d+),t=(\d+),p=(\d+)[$]/.exec(passwordHash) ?? [];
    return Number(m) < limits.cost.memoryKib || Number(t) < limits.cost.passes || Number(p) < limits.cost.lanes;
  }

  return {
    hash: (password, signal, caller) => compute<string>(opaqueString(password), undefined, signal, caller),
    async verify(passwordHash = dummyHash, password, signal, caller) {
      const compare = async (form: string) => await compute<boolean>(form, passwordHash, signal, caller);
      const normalized = opaqueString(password);
      const isCurrent = await compare(normalized);
      const isEarlier = !isCurrent && normalized !== password && (await compare(password));
      return {
        matches: (isCurrent || isEarlier) && passwordHash !== dummyHash,
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
    // Preloaded modules (--import) are meant for the main thread.
    execArgv: [],
  });
  worker.unref();
  /** Callbacks of its jobs, by id. */
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
