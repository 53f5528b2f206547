import { gather } from "@shop/core";
import { LRUCache } from "lru-cache";
import { openChannel } from "./channel.ts";
import type { Redis } from "./redis.ts";
import { isOlder, type Revision, union, unrevised } from "./revision.ts";
import { type Change, createSharedTier, type Found } from "./shared-tier.ts";

/** What a cache counts. */
export interface CacheMetrics {
  /** Counts an answer of a cached read, by where it came from. */
  cacheRead(read: string, source: string): void;
}

export type { Revision } from "./revision.ts";

/** Answers that are kept in the process and in Redis. */
export interface Cache {
  /** Each has a name of its own, which starts with the module's. */
  read<Value>(options: CachedReadOptions<Value>): CachedRead<Value>;
}

export interface CachedReadOptions<Value> {
  /** Also what it is called in metrics. */
  readonly name: string;
  encode(value: Value): Uint8Array;
  decode(bytes: Uint8Array): Value;
  /** So long, in milliseconds, an answer is given as it is. Up to a quarter less, so that not all end together. */
  readonly freshMs: number;
  /** So long after that it is still given, while a new one is being loaded. */
  readonly staleMs: number;
  /** Keys that anybody can make up: their answers are shared with other processes only once they were asked for again. */
  readonly anyKey?: boolean;
}

/** What a load found. Without counters of its own it changes by `invalidateAll` alone. */
export interface Loaded<Value> {
  readonly value: Value;
  readonly revision?: Revision;
}

/**
 * Answers by key, read through the cache.
 *
 * - Who asks after `invalidate` was called here is answered by what it told of, or newer; at other processes within a second.
 * - What no invalidation told of is given for `freshMs + staleMs` at most.
 * - At any time a process loads a key once at most, however many ask; processes wait for each other's load, but not for long.
 * - A load that ends late, anywhere, never replaces what is newer.
 * - Redis decides about speed only: frozen, it costs a caller 0.2 seconds, once a second at most.
 */
export interface CachedRead<Value> {
  /** The value is shared: nobody may change it. `load` answers undefined for what is not there. Fails as `load` fails. */
  get(key: string, load: () => Promise<Loaded<Value> | undefined>): Promise<Value | undefined>;
  /** The answer, if it is in memory and fresh: what `get` would answer without waiting for anything. */
  peek(key: string): Value | undefined;
  /** Call it after the commit, and answer after it. Never rejects; what changes meanwhile is told together. */
  invalidate(changed: readonly { readonly key: string; readonly revision: Revision }[]): Promise<void>;
  /** As `invalidate`, for a change that any answer might show. */
  invalidateAll(): Promise<void>;
}

/** Where an answer came from. */
type CacheSource = "memory" | "memory_stale" | "redis" | "origin" | "joined";

/** Without a channel to hear of changes, this is how old an answer of the process's own may be. */
const unheardMs = 500;
/** So long something that is not there is known not to be, and what that may take up: an id is made up quickly. */
const absentMs = 5_000;
const absentBytes = 4 * 1024 * 1024;
/** Whatever took longer to load than this is not kept: the marks against it could have expired. */
const maxLoadMs = 10_000;
// What a message takes up in memory is many times its encoding when it is made of small parts.
const bytesOf = (encoded: number) => 1_024 + 16 * encoded;

interface Kept {
  readonly value: unknown;
  readonly revision: Revision;
  readonly freshUntil: number;
  readonly staleUntil: number;
  /** When it certainly was the newest, and the session of the channel then. */
  readonly currentAt: number;
  readonly session: number;
  /** Shares it with other processes, if that was put off. */
  share: (() => void) | undefined;
}

type Load<Value> = () => Promise<Loaded<Value> | undefined>;
type Landed = { readonly value: unknown; readonly revision: Revision } | undefined;

/** A load under way. */
interface Flight {
  readonly key: string;
  readonly startedAt: number;
  /** The session of the channel when it began. */
  readonly session: number;
  /** The revision of what memory held then. */
  readonly known: Revision | undefined;
  /** What was invalidated since it began: it may have read what was before. */
  floor: Revision | undefined;
  isOutdated: boolean;
  isJoined: boolean;
  landing: Promise<Landed>;
}

/** Shares with other processes what was asked for again. */
function shareNow(kept: Kept): void {
  kept.share?.();
  kept.share = undefined;
}

interface Forget {
  changed(changed: ReadonlyMap<string, Revision>): void;
  all(): void;
}

/** @param memoryBytes what answers may take up in the process, as far as that can be told */
export function createCache(options: {
  readonly redis: Redis;
  readonly memoryBytes: number;
  readonly metrics: CacheMetrics | undefined;
}): Cache & { isSubscribed(): boolean; memoryBytes(): number; close(): void } {
  const { redis, metrics } = options;
  const memory = new LRUCache<string, Kept>({ maxSize: options.memoryBytes });
  const absent = new LRUCache<string, Kept>({ maxSize: absentBytes });
  const reads = new Map<string, Forget>();
  const channelName = "cache:changes";
  const shared = createSharedTier(redis, channelName);
  const channel = openChannel(redis, channelName, (message) => {
    const { from, read, changed } = JSON.parse(message) as Change & { from: string };
    if (from === shared.processId) return;
    const forget = reads.get(read);
    if (changed === undefined) forget?.all();
    else forget?.changed(new Map(changed.map(([key, first, second]) => [key, [first, second]])));
  });

  function read<Value>(of: CachedReadOptions<Value>): CachedRead<Value> {
    const { name, freshMs, staleMs } = of;
    const flights = new Map<string, Flight>();
    // Renewed by taking a name that no entry has.
    let renewals = 0;
    const placeOf = (key: string) => `${name}:${renewals}:${key}`;
    const count = (source: CacheSource) => metrics?.cacheRead(name, source);

    function isUsable({ session, currentAt }: Kept, now: number): boolean {
      return channel.covers(session) || now - currentAt <= unheardMs;
    }

    function depart(key: string, load: Load<Value>, isRefresh: boolean): Flight {
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
      // Somebody has to look at the origin now and then: whoever refreshes first.
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
      const askedAt = performance.now();
      const loaded = await load().catch((error) => {
        shared.release(name, key);
        throw error;
      });
      count("origin");
      const ageMs = performance.now() - askedAt;
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
      share: Kept["share"],
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

    const forget: Forget = {
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
    if (reads.has(name)) throw new Error(`there are two cached reads called ${name}`);
    reads.set(name, forget);

    const tell = gather<void>({
      maxItems: Number.POSITIVE_INFINITY,
      maxInFlight: 1,
      async work() {
        await shared.pay(name);
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
            if (!flights.has(key)) depart(key, load, true).landing.catch(() => {});
          }
          return kept.value as Value | undefined;
        }
        for (;;) {
          const joined = flights.get(key);
          if (joined === undefined) return (await depart(key, load, false).landing)?.value as Value | undefined;
          joined.isJoined = true;
          const { floor, isOutdated } = joined;
          const landed = await joined.landing;
          // What it read may be older than what was told before this caller came.
          if (isOutdated || (floor !== undefined && (landed === undefined || isOlder(landed.revision, floor))))
            continue;
          count("joined");
          return landed?.value as Value | undefined;
        }
      },
      async invalidate(changed) {
        const revisions = new Map<string, Revision>();
        for (const { key, revision } of changed) revisions.set(key, union(revision, revisions.get(key) ?? unrevised));
        forget.changed(revisions);
        shared.owe(name, revisions);
        await tell();
      },
      async invalidateAll() {
        forget.all();
        shared.owe(name, "all");
        await tell();
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
