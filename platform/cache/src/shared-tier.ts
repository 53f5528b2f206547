import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { RESP_TYPES } from "@redis/client";
import { currentTrace, SpanKind, startSpan, type Trace } from "@shop/core";
import { commandTimeoutMs, type Redis } from "./redis.ts";
import { isOlder, type Revision, union, unrevised } from "./revision.ts";

/** A message on the channel: the changed keys of a read, or that all may have changed. */
export interface Change {
  readonly read: string;
  /** Keys with revisions; absent if anything may have changed. */
  readonly changed?: readonly (readonly [string, number, number])[];
}

export interface SharedEntry {
  readonly value: Uint8Array;
  readonly revision: Revision;
  /** Milliseconds since it was read from the origin. */
  readonly ageMs: number;
}

/** The result of a lookup; without an entry the caller has to load it. */
export interface Found {
  readonly entry: SharedEntry | undefined;
  /** The read's epoch, for the entry loaded now: entries are only valid in their epoch. */
  readonly epoch: Buffer;
}

/**
 * Encoded answers in Redis. Its methods never fail: without Redis it finds and stores nothing, and remembers invalidations
 * until it can send them.
 *
 * Two mechanisms keep old answers out. A mark, stored in place of an entry, carries the revision that was invalidated: Redis
 * refuses to fill in anything older. An epoch per read is part of every entry: a new epoch invalidates all entries of the read.
 * Until Redis has confirmed a mark or epoch, it is pending in this process, which then does not use older entries itself.
 */
export interface SharedTier {
  /** Looks an entry up; undefined without Redis. Waits at most a tenth of a second for another process that is loading it. */
  find(read: string, key: string): Promise<Found | undefined>;
  /** Stores a loaded entry, unless Redis knows of a newer revision, and releases the load lease. */
  fill(read: string, key: string, entry: SharedEntry, found: Found, ttlMs: number): Promise<void>;
  /** Releases the load lease without storing anything. */
  release(read: string, key: string): void;
  /**
   * Records an invalidation: from now on `find` returns nothing older than these revisions. "all" also invalidates loads in
   * progress.
   */
  addPending(read: string, changed: ReadonlyMap<string, Revision> | "all"): void;
  /** Sends recorded invalidations to Redis, and publishes them. */
  flush(read: string): Promise<void>;
}

interface Mark {
  readonly revision: Revision;
  isSent: boolean;
}

/** After a command timed out, no command is sent for this time. */
const suspensionMs = 1_000;
/** Longer than any load that read the state before the mark, and has yet to fill it in. */
const markTtlMs = 60_000;
const epochTtlMs = 24 * 60 * 60 * 1000;
/** One process loads a key at a time; others wait for it, even if it dies, for this long. */
const loadLeaseMs = 100;
const loadPollMs = 10;
const loadLease = { condition: "NX", expiration: { type: "PX", value: loadLeaseMs } } as const;
/** The most marks that wait for Redis; beyond that, a new epoch invalidates everything. */
const maxPendingMarks = 10_000;

// Layout of an entry: revision, 16 bytes; epoch, 8; time, 8; value.
const revisionLength = 16;
const epochLength = 8;
const headLength = revisionLength + epochLength + 8;

/** @param channel the channel for changes, sent as JSON of a `Change` with the sender in `from` */
export function createSharedTier(client: Redis, channel: string): SharedTier & { readonly processId: string } {
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const processId = randomUUID();

  // A server that restarts from a snapshot restores entries that were invalidated since: each run has its own keys.
  let run: string | undefined;
  let suspendedUntil = 0;
  const isAvailable = () => run !== undefined && Date.now() >= suspendedUntil;

  // Invalidations that Redis has not confirmed: it may hold older entries.
  const pendingByRead = new Map<
    string,
    { readonly marks: Map<string, Mark>; epoch: { isSent: boolean } | undefined }
  >();

  const entryKey = (read: string, key: string) => `cache:${run}:${read}:${key}`;
  const leaseKey = (read: string, key: string) => `${entryKey(read, key)}:load`;
  const epochKey = (read: string) => `cache:${run}:${read}`;
  const messageOf = (change: Change) => JSON.stringify({ from: processId, ...change });

  client.on("ready", () => void readRunId());
  for (const event of ["error", "reconnecting", "end"]) client.on(event, () => (run = undefined));
  if (client.isReady) void readRunId();

  async function readRunId(): Promise<void> {
    run = undefined;
    const info = await inTime("INFO", client.info("server"));
    run = /^run_id:(\w+)/m.exec(info ?? "")?.[1];
    if (run === undefined) return;
    for (const read of pendingByRead.keys()) await flush(read);
  }

  // Gives up on a command after the timeout, because a frozen Redis accepts commands and answers none.
  async function inTime<Result>(name: string, command: Promise<Result>): Promise<Result | undefined> {
    const span = startCommandSpan(name);
    let failure: unknown;
    let isOver = false;
    const { promise: timeout, resolve } = Promise.withResolvers<undefined>();
    const giveUp = () => {
      if (!isOver) suspendedUntil = Date.now() + suspensionMs;
      failure = timedOut;
      resolve(undefined);
    };
    // If this process froze, the answer waits in the socket, which is read after timers.
    const timer = setTimeout(() => setImmediate(giveUp), commandTimeoutMs);
    try {
      return await Promise.race([command, timeout]);
    } catch (error) {
      failure = error;
      return undefined;
    } finally {
      span?.end(failure);
      isOver = true;
      clearTimeout(timer);
    }
  }

  async function epochOf(read: string, known: Buffer | null): Promise<Buffer | undefined> {
    if (known !== null) return known;
    const key = epochKey(read);
    await inTime(
      "SET",
      client.set(key, randomBytes(epochLength), { condition: "NX", expiration: { type: "PX", value: epochTtlMs } }),
    );
    return ((await inTime("GET", binary.get(key))) as Buffer | null | undefined) ?? undefined;
  }

  function toEntry(bytes: Buffer | null, epoch: Buffer, floor: Revision): SharedEntry | undefined {
    if (bytes === null || bytes.length <= revisionLength) return undefined;
    if (!bytes.subarray(revisionLength, revisionLength + epochLength).equals(epoch)) return undefined;
    const revision = [Number(bytes.readBigUInt64BE(0)), Number(bytes.readBigUInt64BE(8))] as const;
    if (isOlder(revision, floor)) return undefined;
    const loadedAt = bytes.readDoubleBE(revisionLength + epochLength);
    return { value: bytes.subarray(headLength), revision, ageMs: Math.max(0, Date.now() - loadedAt) };
  }

  async function find(read: string, key: string): Promise<Found | undefined> {
    const waitUntil = Date.now() + loadLeaseMs;
    for (let attempt = 0; ; attempt++) {
      const pending = pendingByRead.get(read);
      if (!isAvailable() || pending?.epoch !== undefined) return undefined;
      // Read now: the mark may be confirmed before this reply, which is older, arrives.
      const floor = pending?.marks.get(key)?.revision ?? unrevised;
      // In this order, so that a process that gets the lease sees what its last holder stored.
      const [lease, replies] = await Promise.all([
        attempt > 0 && inTime("SET", client.set(leaseKey(read, key), "", loadLease)),
        inTime("MGET", binary.mGet([entryKey(read, key), epochKey(read)])) as Promise<(Buffer | null)[] | undefined>,
      ]);
      if (replies === undefined) return undefined;
      const leads = lease === "OK";
      const epoch = await epochOf(read, replies[1]!);
      if (epoch === undefined) return undefined;
      const entry = toEntry(replies[0]!, epoch, floor);
      if (entry !== undefined && leads) release(read, key);
      if (entry !== undefined || leads || Date.now() >= waitUntil) return { entry, epoch };
      if (attempt > 0) await delay(loadPollMs);
    }
  }

  function addPending(read: string, changed: ReadonlyMap<string, Revision> | "all"): void {
    const pending = pendingByRead.get(read) ?? { marks: new Map<string, Mark>(), epoch: undefined };
    pendingByRead.set(read, pending);
    if (changed !== "all") {
      for (const [key, revision] of changed)
        pending.marks.set(key, {
          revision: union(revision, pending.marks.get(key)?.revision ?? unrevised),
          isSent: false,
        });
      if (pending.marks.size <= maxPendingMarks) return;
      pending.marks.clear();
    }
    pending.epoch = { isSent: false };
  }

  async function flush(read: string): Promise<void> {
    const pending = pendingByRead.get(read);
    // Sent even while suspended: a frozen Redis reads it once it resumes.
    if (pending === undefined || run === undefined) return;
    const marks = [...pending.marks].filter(([, { isSent }]) => !isSent);
    await Promise.all([
      pending.epoch?.isSent === false &&
        send("MULTI", newEpoch(read), [pending.epoch], () => (pending.epoch = undefined)),
      marks.length > 0 &&
        send(
          "EVALSHA",
          setMarks(read, marks),
          marks.map(([, mark]) => mark),
          () => {
            for (const [key, mark] of marks) if (pending.marks.get(key) === mark) pending.marks.delete(key);
          },
        ),
    ]);
  }

  async function send(
    name: string,
    command: Promise<unknown>,
    sent: { isSent: boolean }[],
    confirmed: () => void,
  ): Promise<void> {
    for (const one of sent) one.isSent = true;
    const settled = command.then(confirmed, () => {
      for (const one of sent) one.isSent = false;
    });
    await inTime(name, settled);
  }

  const newEpoch = (read: string) =>
    client
      .multi()
      .set(epochKey(read), randomBytes(epochLength), { expiration: { type: "PX", value: epochTtlMs } })
      .publish(channel, messageOf({ read }))
      .exec();

  const setMarks = (read: string, marks: readonly (readonly [string, Mark])[]) =>
    client.setIfNewer(
      marks.map(([key]) => entryKey(read, key)),
      marks.map(([, { revision }]) => revisionBytes(revision)),
      markTtlMs,
      [channel, messageOf({ read, changed: marks.map(([key, { revision }]) => [key, ...revision] as const) })],
    );

  function release(read: string, key: string): void {
    if (isAvailable()) void inTime("DEL", client.del(leaseKey(read, key)));
  }

  return {
    processId,
    find,
    addPending,
    flush,
    release,
    async fill(read, key, { value, revision, ageMs }, { epoch }, ttlMs) {
      if (!isAvailable()) return;
      const time = Buffer.alloc(8);
      time.writeDoubleBE(Date.now() - ageMs);
      const entry = Buffer.concat([revisionBytes(revision), epoch, time, value]);
      await inTime("EVALSHA", client.setIfNewer([entryKey(read, key)], [entry], ttlMs));
      release(read, key);
    },
  };
}

const timedOut = Object.assign(new Error("no answer in time"), { code: "timeout" });

/** Starts the span of a command, if spans of the current trace are recorded. */
function startCommandSpan(name: string): Trace | undefined {
  if (!currentTrace()?.isRecorded) return undefined;
  const attributes = { "db.system.name": "redis", "db.operation.name": name };
  return startSpan(name, { kind: SpanKind.CLIENT, attributes });
}

function revisionBytes([first, second]: Revision): Buffer {
  const bytes = Buffer.alloc(revisionLength);
  bytes.writeBigUInt64BE(BigInt(first));
  bytes.writeBigUInt64BE(BigInt(second), 8);
  return bytes;
}
