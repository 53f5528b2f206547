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
  /** Forgets everything older than `revision`, and refuses it from now on. Call it after the commit. */
  invalidate(key: string, revision: number): Promise<void>;
  close(): Promise<void>;
}

// An entry is 8 bytes of revision, big endian, then the value; an entry without a value is a mark left by an invalidation.
const setIfNewer = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: `
    local current = redis.call("GETRANGE", KEYS[1], 0, 7)
    if #current == 8 then
      local known = struct.unpack(">I8", current)
      local offered = struct.unpack(">I8", ARGV[1])
      if offered < known then return 0 end
    end
    redis.call("SET", KEYS[1], ARGV[1], "EX", ARGV[2])
    return 1`,
  parseCommand(parser, key: string, entry: Buffer) {
    parser.pushKey(key);
    parser.push(entry, String(ttlSeconds));
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
      await inTime(client.setIfNewer(key, Buffer.concat([revisionBytes(revision), value])));
    },
    // Sent also while suspended: Redis finds it on its socket when it wakes up.
    async invalidate(key, revision) {
      await inTime(client.setIfNewer(key, revisionBytes(revision)));
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
