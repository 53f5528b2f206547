import { createClient, defineScript, RESP_TYPES } from "redis";
import type { Logger } from "../log.ts";

const commandTimeoutMs = 100;
/** After a command that was not answered in time, nothing is asked for so long. */
const suspensionMs = 1_000;
const revisionLength = 8;
/** Bounds how long a wrong entry could live if an invalidation were lost. */
const ttlSeconds = 60;

/**
 * Encoded answers by key, each with the revision it was read at. It never fails: without Redis it finds nothing and keeps
 * nothing.
 */
export interface Cache {
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keeps an answer unless something at least as new is known, so that a slow reader can't restore an old value. */
  fill(key: string, revision: number, value: Uint8Array): Promise<void>;
  /** Forgets everything older than these revisions, and refuses it from now on. Call it after the commit. */
  invalidate(changed: readonly { readonly key: string; readonly revision: number }[]): Promise<void>;
  close(): Promise<void>;
}

// An entry is 8 bytes of revision, big endian, then the value; an entry without a value is a mark left by an invalidation.
const setIfNewer = defineScript({
  SCRIPT: `
    local ttl = ARGV[#KEYS + 1]
    for i, key in ipairs(KEYS) do
      local current = redis.call("GETRANGE", key, 0, 7)
      if #current < 8 or struct.unpack(">I8", ARGV[i]) >= struct.unpack(">I8", current) then
        redis.call("SET", key, ARGV[i], "EX", ttl)
      end
    end`,
  parseCommand(parser, keys: readonly string[], entries: readonly Buffer[]) {
    parser.pushKeysLength([...keys]);
    parser.push(...entries, String(ttlSeconds));
  },
  transformReply: undefined as unknown as () => number,
});

/** Connects in the background and reconnects for ever. Keys start with the name of the module they belong to. */
export function createCache(url: string, log: Logger): Cache {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: 1_000, reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 2_000) },
    scripts: { setIfNewer },
  });
  let reported = false;
  client.on("error", (error) => {
    if (!reported) log.warn({ err: error }, "the cache is gone, answers come from the database");
    reported = true;
  });
  client.on("ready", () => {
    if (reported) log.info("the cache is back");
    reported = false;
  });
  client.connect().catch(() => {});
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
      await inTime(client.setIfNewer([key], [Buffer.concat([revisionBytes(revision), value])]));
    },
    // Sent also while suspended: Redis finds it on its socket when it wakes up.
    async invalidate(changed) {
      if (changed.length === 0) return;
      const keys = changed.map(({ key }) => key);
      const marks = changed.map(({ revision }) => revisionBytes(revision));
      await inTime(client.setIfNewer(keys, marks));
    },
    async close() {
      if (client.isOpen) client.destroy();
    },
  };
}

function revisionBytes(revision: number): Buffer {
  const bytes = Buffer.alloc(revisionLength);
  bytes.writeBigUInt64BE(BigInt(revision));
  return bytes;
}
