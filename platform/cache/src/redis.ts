import { createClient, defineScript, type RedisClientOptions } from "@redis/client";
import type { Logger } from "@shop/core";

/** The time limit for waiting on a command, in milliseconds: a frozen Redis accepts commands and answers none. */
export const commandTimeoutMs = 100;

// A value begins with a revision: two counters of 8 bytes each, big endian. A value of only a revision is a mark: it removes an
// entry that is older in either counter, and keeps the maximum of both.
const setIfNewer = defineScript({
  SCRIPT: `
    local ttl, channel, message = ARGV[#KEYS + 1], ARGV[#KEYS + 2], ARGV[#KEYS + 3]
    for i, key in ipairs(KEYS) do
      local first, second = struct.unpack(">I8I8", ARGV[i])
      local current = redis.call("GETRANGE", key, 0, 15)
      local known_first, known_second = 0, 0
      if #current == 16 then known_first, known_second = struct.unpack(">I8I8", current) end
      if first >= known_first and second >= known_second then
        redis.call("SET", key, ARGV[i], "PX", ttl)
      elseif #ARGV[i] == 16 and (first > known_first or second > known_second) then
        local both = struct.pack(">I8I8", math.max(first, known_first), math.max(second, known_second))
        redis.call("SET", key, both, "PX", ttl)
      end
    end
    if channel then redis.call("PUBLISH", channel, message) end`,
  parseCommand(
    parser,
    keys: readonly string[],
    values: readonly Buffer[],
    ttlMs: number,
    publish: readonly string[] = [],
  ) {
    parser.pushKeysLength([...keys]);
    parser.push(...values, String(ttlMs), ...publish);
  },
  transformReply: undefined as unknown as () => number,
});

export type Redis = ReturnType<typeof connectRedis>;

/** Connects in the background, and reconnects for ever; until connected every command fails at once. */
export function connectRedis(url: string, log: Logger) {
  const { socket, ...server } = redisServer(url);
  const client = createClient({
    ...server,
    disableOfflineQueue: true,
    // An account would need the right to CLIENT SETINFO, which Redis knows since 7.2 only.
    disableClientInfo: true,
    // Callers have their own timers; the client's timeout would create a signal per command, and last five seconds.
    commandOptions: { timeout: 0 },
    // Bounds the queue for a frozen Redis.
    commandsQueueMaxLength: 10_000,
    socket: { ...socket, connectTimeout: 1_000, reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 2_000) },
    scripts: { setIfNewer },
  });
  let reported = false;
  client.on("error", (error) => {
    if (!reported)
      log.warn({ err: error }, "Redis is unavailable: answers come from the database, limits are counted per process");
    reported = true;
  });
  client.on("ready", () => {
    if (reported) log.info("Redis is available again");
    reported = false;
  });
  client.connect().catch(() => {});
  return client;
}

/**
 * Parses `unix://user:password@/path/of.sock` (the client's own URL parser can't be used: its handshake refuses such URLs), or
 * `redis://`.
 */
function redisServer(
  url: string,
): Pick<RedisClientOptions, "url" | "username" | "password"> & { socket?: { path: string } } {
  const [, username, password, path] = /^unix:\/\/(?:([^:@/]*):([^@/]*)@)?(\/.*)$/.exec(url) ?? [];
  if (path === undefined) return { url };
  return {
    socket: { path },
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  };
}
