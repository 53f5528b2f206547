import { createBatcher } from "@shop/core";
import { LRUCache } from "lru-cache";
import { openChannel } from "./channel.ts";
import type { Redis } from "./redis.ts";
import { isOlder, type Revision, union, unrevised } from "./revision.ts";
import { type Change, createSharedTier, type Found } from "./shared-tier.ts";

/** The metrics of a cache. */
export interface CacheMetrics {
  /** Counts an answer of a cached read by its source. */
  cacheRead(read: string, source: string): void;
}

export type { Revision } from "./revision.ts";

/** Cached reads, in two tiers: memory and Redis. */
export interface Cache {
  /** Declares a cached read. Its name must be unique, and starts with the module's. */
  read<Value>(options: CachedReadOptions<Value>): CachedRead<Value>;
}

export interface CachedReadOptions<Value> {
  /** The name, also in metrics. */
  readonly name: string;
  encode(value: Value): Uint8Array;
  decode(bytes: Uint8Array): Value;
  /** How long an answer is fresh, in milliseconds. Each entry gets up to a quarter less, so that not all expire together. */
  readonly freshMs: number;
  /** How long after that it is still served, in milliseconds, while a new one is loaded. */
  readonly staleMs: number;
  /** Whether clients can invent keys. Such an answer is shared with other processes only when it is requested again. */
  readonly anyKey?: boolean;
}

/** The result of a load. Without a revision it is only invalidated by `invalidateAll`. */
export interface Loaded<Value> {
  readonly value: Value;
  readonly revision?: Revision;
}

/**
 * A read-through cache by key.
 *
 * - After `invalidate` returned, this process answers with the invalidated revision or a newer one; other processes do within a
 * second.
 * - An answer that was not invalidated is served for `freshMs + staleMs` at most.
 * - A process has at most one load per key in progress, for all callers; processes wait briefly for each other's loads.
 * - A load that ends late, in any process, never replaces a newer answer.
 * - Redis only affects speed: a frozen Redis delays a caller by 0.2 seconds, at most once a second.
 */
export interface CachedRead<Value> {
  /**
   * Returns the value, or undefined if `load` returns undefined. Rejects if `load` rejects. The value is shared: do not modify
   * it.
   */
  get(key: string, load: () => Promise<Loaded<Value> | undefined>): Promise<Value | undefined>;
  /** The answer, if it is in memory and fresh: the one that `get` would return without waiting. */
  peek(key: string): Value | undefined;
  /**
   * Call it after the commit, and answer the writer's caller only afterwards. Never rejects. Concurrent invalidations are sent
   * together.
   */
  invalidate(changed: readonly { readonly key: string; readonly revision: Revision }[]): Promise<void>;
  /** Like `invalidate`, for a change that may affect every answer. */
  invalidateAll(): Promise<void>;
}

/** The source of an answer. */
type CacheSource = "memory" | "memory_stale" | "redis" | "origin" | "joined";

/** The maximum age of an answer in memory while changes are not received. */
const unsubscribedMaxAgeMs = 500;
/** How long a missing value is remembered, and in how much memory: ids are easily invented. */
const absentMs = 5_000;
const absentBytes = 4 * 1024 * 1024;
/** An answer that took longer to load is not cached: the marks against it could have expired. */
const maxLoadMs = 10_000;
// A decoded message of many small parts takes many times its encoded size.
const bytesOf = (encoded: number) => 1_024 + 16 * encoded;

interface Entry {
  readonly value: unknown;
  readonly revision: Revision;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** When it was certainly the newest, and the channel's session at that time. */
  readonly currentAt: number;
  readonly session: number;
  /** Shares it with other processes, if that was deferred. */
  share: (() => void) | undefined;
}

type Load<Value> = () => Promise<Loaded<Value> | undefined>;
type Landed = { readonly value: unknown; readonly revision: Revision } | undefined;

/** A load in progress. */
interface Flight {
  readonly key: string;
  readonly startedAt: number;
  /** The channel's session when it began. */
  readonly session: number;
  /** The revision in memory when it began. */
  readonly known: Revision | undefined;
  /** The revision invalidated since it began: it may have read the previous state. */
  floor: Revision | undefined;
  isOutdated: boolean;
  isJoined: boolean;
  landing: Promise<Landed>;
}

/** Shares a deferred answer with other processes, now that it was requested again. */
function shareNow(kept: Entry): void {
  kept.share?.();
  kept.share = undefined;
}

interface Invalidator {
  changed(changed: ReadonlyMap<string, Revision>): void;
  all(): void;
}

/**
 * Creates a cache. An entry in memory is usable while the process has received all changes since it was loaded
 * (`channel.covers`), or else for half a second. A miss starts a flight: it looks in Redis, and loads from the origin if Redis
 * has no entry that is recent enough. Other callers of the key join the flight. An invalidation during a flight sets its
 * `floor`: the flight's callers still get its result, but it is only cached if it is not older than the floor, and callers that
 * joined after the invalidation load again.
 *
 * @param memoryBytes the estimated memory that answers may take in the process
 */
export function createCache(options: {
  readonly redis: Redis;
  readonly memoryBytes: number;
  readonly metrics: CacheMetrics | undefined;
}): Cache & { isSubscribed(): boolean; memoryBytes(): number; close(): void } {
  const { redis, metrics } = options;
  const memory = new LRUCache<string, Entry>({ maxSize: options.memoryBytes });
  const absent = new LRUCache<string, Entry>({ maxSize: absentBytes });
  const reads = new Map<string, Invalidator>();
  const channelName = "cache:changes";
  const shared = createSharedTier(redis, channelName);
  const channel = openChannel(redis, channelName, (message) => {
    const { from, read, changed } = JSON.parse(message) as Change & { from: string };
    if (from === shared.processId) return;
    const invalidator = reads.get(read);
    if (changed === undefined) invalidator?.all();
    else invalidator?.changed(new Map(changed.map(([key, first, second]) => [key, [first, second]])));
  });

  function read<Value>(of: CachedReadOptions<Value>): CachedRead<Value> {
    const { name, freshMs, staleMs } = of;
    const flights = new Map<string, Flight>();
    // Part of every entry's name: incrementing it invalidates all entries.
    let renewals = 0;
    const placeOf = (key: string) => `${name}:${renewals}:${key}`;
    const count = (source: CacheSource) => metrics?.cacheRead(name, source);

    function isUsable({ session, currentAt }: Entry, now: number): boolean {
      return channel.covers(session) || now - currentAt <= unsubscribedMaxAgeMs;
    }

    function startFlight(key: string, load: Load<Value>, isRefresh: boolean): Flight {
      const flight: Flight = {
        key,
        session: channel.session,
        startedAt: performance.now(),
        known: memory.peek(placeOf(key))?.revision,
        floor: undefined,
        isOutdated: false,
        isJoined: false,
        landing: Promise.resolve(undefined),
      };
      flights.set(key, flight);
      flight.landing = fly(flight, load, isRefresh).finally(() => flights.delete(key));
      return flight;
    }

    async function fly(flight: Flight, load: Load<Value>, isRefresh: boolean): Promise<Landed> {
      const found = await shared.find(name, flight.key);
      // A refresh goes to the origin if the shared entry is no longer fresh.
      const maxAgeMs = isRefresh ? freshMs : freshMs + staleMs;
      return takeShared(flight, found, maxAgeMs) ?? (await loadFromOrigin(flight, found, load));
    }

    function takeShared(flight: Flight, found: Found | undefined, maxAgeMs: number): Landed {
      const entry = found?.entry;
      if (entry === undefined || entry.ageMs > maxAgeMs || isOutdated(flight, entry.revision)) return undefined;
      count("redis");
      const landed = { value: of.decode(entry.value), revision: entry.revision };
      keep(flight, landed, entry.value.length, entry.ageMs, undefined);
      return landed;
    }

    async function loadFromOrigin(flight: Flight, found: Found | undefined, load: Load<Value>): Promise<Landed> {
      const { key } = flight;
      const loadStartedAt = performance.now();
      const loaded = await load().catch((error) => {
        shared.release(name, key);
        throw error;
      });
      count("origin");
      const ageMs = performance.now() - loadStartedAt;
      if (loaded === undefined) {
        shared.release(name, key);
        if (flight.floor === undefined && !flight.isOutdated) keepAbsent(flight);
        return undefined;
      }
      const { value, revision = unrevised } = loaded;
      const encoded = of.encode(value);
      const share =
        found && ageMs <= maxLoadMs
          ? () => void shared.fill(name, key, { value: encoded, revision, ageMs }, found, freshMs + staleMs)
          : undefined;
      const isWanted = of.anyKey !== true || flight.isJoined || flight.known !== undefined;
      if (isWanted) share?.();
      else shared.release(name, key);
      if (ageMs <= maxLoadMs && !isOutdated(flight, revision))
        keep(flight, { value, revision }, encoded.length, ageMs, isWanted ? undefined : share);
      return { value, revision };
    }

    function isOutdated({ isOutdated, floor = unrevised, known = unrevised }: Flight, revision: Revision): boolean {
      return isOutdated || isOlder(revision, floor) || isOlder(revision, known);
    }

    function keep(
      { key, startedAt, session }: Flight,
      landed: NonNullable<Landed>,
      encodedBytes: number,
      ageMs: number,
      share: Entry["share"],
    ): void {
      const bornAt = performance.now() - ageMs;
      const freshUntil = bornAt + freshMs * (0.75 + 0.25 * Math.random());
      const staleUntil = bornAt + freshMs + staleMs;
      const kept = { ...landed, freshUntil, staleUntil, currentAt: startedAt, session, share };
      memory.set(placeOf(key), kept, { size: bytesOf(encodedBytes) });
      absent.delete(placeOf(key));
    }

    function keepAbsent({ key, startedAt, session }: Flight): void {
      const until = { freshUntil: startedAt + absentMs, staleUntil: startedAt + absentMs };
      const kept = { value: undefined, revision: unrevised, ...until, currentAt: startedAt, session, share: undefined };
      memory.delete(placeOf(key));
      absent.set(placeOf(key), kept, { size: 512 + 2 * key.length });
    }

    const invalidator: Invalidator = {
      changed(changed) {
        for (const [key, revision] of changed) {
          const flight = flights.get(key);
          if (flight !== undefined) flight.floor = union(revision, flight.floor ?? unrevised);
          const kept = memory.peek(placeOf(key));
          if (kept !== undefined && isOlder(kept.revision, revision)) memory.delete(placeOf(key));
          absent.delete(placeOf(key));
        }
      },
      all() {
        renewals++;
        for (const flight of flights.values()) flight.isOutdated = true;
      },
    };
    if (reads.has(name)) throw new Error(`two cached reads are named ${name}`);
    reads.set(name, invalidator);

    const flush = createBatcher<void>({
      name: `invalidate together ${name}`,
      maxItems: Number.POSITIVE_INFINITY,
      maxInFlight: 1,
      async work() {
        await shared.flush(name);
        return new Map();
      },
    });

    return {
      peek(key) {
        const now = performance.now();
        const kept = memory.get(placeOf(key));
        if (kept === undefined || now >= kept.freshUntil || !isUsable(kept, now)) return undefined;
        count("memory");
        shareNow(kept);
        return kept.value as Value;
      },
      async get(key, load) {
        const now = performance.now();
        const kept = memory.get(placeOf(key)) ?? absent.get(placeOf(key));
        if (kept !== undefined && now < kept.staleUntil && isUsable(kept, now)) {
          shareNow(kept);
          if (now < kept.freshUntil) count("memory");
          else {
            count("memory_stale");
            if (!flights.has(key)) startFlight(key, load, true).landing.catch(() => {});
          }
          return kept.value as Value | undefined;
        }
        for (;;) {
          const joined = flights.get(key);
          if (joined === undefined) return (await startFlight(key, load, false).landing)?.value as Value | undefined;
          joined.isJoined = true;
          const { floor, isOutdated } = joined;
          const landed = await joined.landing;
          // It may have read an older revision than one invalidated before this caller came.
          if (isOutdated || (floor !== undefined && (landed === undefined || isOlder(landed.revision, floor))))
            continue;
          count("joined");
          return landed?.value as Value | undefined;
        }
      },
      async invalidate(changed) {
        const revisions = new Map<string, Revision>();
        for (const { key, revision } of changed) revisions.set(key, union(revision, revisions.get(key) ?? unrevised));
        invalidator.changed(revisions);
        shared.addPending(name, revisions);
        await flush();
      },
      async invalidateAll() {
        invalidator.all();
        shared.addPending(name, "all");
        await flush();
      },
    };
  }

  return {
    read,
    isSubscribed: () => channel.covers(channel.session),
    memoryBytes: () => memory.calculatedSize + absent.calculatedSize,
    close: () => channel.close(),
  };
}
