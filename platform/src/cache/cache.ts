import { createClient, defineScript, RESP_TYPES } from "redis";
import type { Logger } from "../log.ts";

const commandTimeoutMs = 100;
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
    commandOptions: { timeout: commandTimeoutMs },
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

  return {
    async get(key) {
      try {
        const entry = (await binary.get(key)) as Buffer | null;
        return entry === null || entry.length <= 8 ? undefined : entry.subarray(8);
      } catch {
        return undefined;
      }
    },
    async fill(key, revision, value) {
      await client.setIfNewer(key, Buffer.concat([revisionBytes(revision), value])).catch(() => {});
    },
    async invalidate(key, revision) {
      await client.setIfNewer(key, revisionBytes(revision)).catch(() => {});
    },
    async close() {
      if (client.isOpen) client.destroy();
    },
  };
}

function revisionBytes(revision: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(revision));
  return bytes;
}
