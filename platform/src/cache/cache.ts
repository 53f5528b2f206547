import { RESP_TYPES } from "redis";
import { commandTimeoutMs, type Redis } from "../redis.ts";

/** After a command that was not answered in time, nothing is asked for so long. */
const suspensionMs = 1_000;
// An entry is 16 bytes of revision, then the value; an entry without a value is a mark left by an invalidation.
const revisionLength = 16;
/** Bounds how long a wrong entry could live if an invalidation were lost. */
const ttlSeconds = 60;

/**
 * Two counters that only grow, each with the changes of one writer: an answer is older than another if either is smaller.
 * Who changes something knows his own counter, and leaves the other at 0.
 */
export type Revision = readonly [number, number];

/**
 * Encoded answers by key, each with the revision it was read at. It never fails: without Redis it finds nothing and keeps
 * nothing.
 */
export interface Cache {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keeps an answer unless something at least as new is known, so that a slow reader can't restore an old value. */
  fill(key: string, revision: Revision, value: Uint8Array): Promise<void>;
  /** Forgets everything older than these revisions, and refuses it from now on. Call it after the commit. */
  invalidate(changed: readonly { readonly key: string; readonly revision: Revision }[]): Promise<void>;
}

/** Keys start with the name of the module they belong to. */
export function createCache(client: Redis): Cache {
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });

  // A frozen Redis takes commands and answers none: whoever waits for one must not freeze with it.
  let suspendedUntil = 0;
  async function inTime<Result>(command: Promise<Result>): Promise<Result | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        suspendedUntil = Date.now() + suspensionMs;
        resolve(undefined);
      }, commandTimeoutMs);
    });
    try {
      return await Promise.race([command, timeout]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
  const isSuspended = () => Date.now() < suspendedUntil;

  return {
    async get(key) {
      if (isSuspended()) return undefined;
      const entry = (await inTime(binary.get(key))) as Buffer | null | undefined;
      return entry == null || entry.length <= revisionLength ? undefined : entry.subarray(revisionLength);
    },
    async fill(key, revision, value) {
      if (isSuspended()) return;
      await inTime(client.setIfNewer([key], [Buffer.concat([revisionBytes(revision), value])], ttlSeconds));
    },
    // Sent also while suspended: Redis finds it on its socket when it wakes up.
    async invalidate(changed) {
      if (changed.length === 0) return;
      const keys = changed.map(({ key }) => key);
      const marks = changed.map(({ revision }) => revisionBytes(revision));
      await inTime(client.setIfNewer(keys, marks, ttlSeconds));
    },
  };
}

function revisionBytes([first, second]: Revision): Buffer {
  const bytes = Buffer.alloc(revisionLength);
  bytes.writeBigUInt64BE(BigInt(first));
  bytes.writeBigUInt64BE(BigInt(second), 8);
  return bytes;
}
