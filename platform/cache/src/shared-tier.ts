import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { RESP_TYPES } from "redis";
import { commandTimeoutMs, type Redis } from "./redis.ts";
import { isOlder, type Revision, union, unrevised } from "./revision.ts";

/** What was told on the channel: what changed in a read, or that all of it did. */
export interface Change {
  readonly read: string;
  /** Key and revision; absent when anything may have changed. */
  readonly changed?: readonly (readonly [string, number, number])[];
}

export interface SharedEntry {
  readonly value: Uint8Array;
  readonly revision: Revision;
  /** How long ago it was read from its origin. */
  readonly ageMs: number;
}

/** What was found; without an entry somebody has to load it. */
export interface Found {
  readonly entry: SharedEntry | undefined;
  /** Goes with what is loaded now: it is good only until the epoch ends. */
  readonly epoch: Buffer;
}

/**
 * Encoded answers in Redis. It never fails: without Redis it finds nothing and keeps nothing, and what it could not tell Redis it
 * remembers until it can.
 */
export interface SharedTier {
  /** Undefined without Redis. While another process loads the same it waits for that, for a tenth of a second at most. */
  find(read: string, key: string): Promise<Found | undefined>;
  /** Keeps what was loaded, unless something newer is known; and lets others load. */
  fill(read: string, key: string, entry: SharedEntry, found: Found, ttlMs: number): Promise<void>;
  /** There is nothing to keep of what was to be loaded. */
  release(read: string, key: string): void;
  /** From now on finds nothing that is older than these revisions; of all, also nothing of what is being loaded now. */
  owe(read: string, changed: ReadonlyMap<string, Revision> | "all"): void;
  /** Makes Redis refuse what is owed, and tells everybody. */
  pay(read: string): Promise<void>;
}

interface Mark {
  readonly revision: Revision;
  isSent: boolean;
}

/** After a command that was not answered in time, nothing is asked for so long. */
const suspensionMs = 1_000;
/** Outlives whoever read something before the mark was made, and has still to fill it in. */
const markTtlMs = 60_000;
const epochTtlMs = 24 * 60 * 60 * 1000;
/** One loads at a time; so long others wait, and so long a dead one can keep them waiting. */
const loadLeaseMs = 100;
const loadPollMs = 10;
const loadLease = { condition: "NX", expiration: { type: "PX", value: loadLeaseMs } } as const;
/** As many marks wait for Redis at most; what would be more is paid by forgetting everything. */
const maxOwed = 10_000;

// An entry: revision, 16 bytes; epoch, 8; time, 8; value.
const revisionLength = 16;
const epochLength = 8;
const headLength = revisionLength + epochLength + 8;

/** @param channel where changes are told, as JSON of a `Change` with its sender in `from` */
export function createSharedTier(client: Redis, channel: string): SharedTier & { readonly processId: string } {
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const processId = randomUUID();

  // A server that restarts from a snapshot brings back what was invalidated meanwhile: each run has entries of its own.
  let run: string | undefined;
  let suspendedUntil = 0;
  const isThere = () => run !== undefined && Date.now() >= suspendedUntil;

  // What Redis was not heard to have taken: it may hold what is older.
  const debts = new Map<string, { readonly marks: Map<string, Mark>; epoch: { isSent: boolean } | undefined }>();

  const entryKey = (read: string, key: string) => `cache:${run}:${read}:${key}`;
  const leaseKey = (read: string, key: string) => `${entryKey(read, key)}:load`;
  const epochKey = (read: string) => `cache:${run}:${read}`;
  const messageOf = (change: Change) => JSON.stringify({ from: processId, ...change });

  client.on("ready", () => void meet());
  for (const event of ["error", "reconnecting", "end"]) client.on(event, () => (run = undefined));
  if (client.isReady) void meet();

  async function meet(): Promise<void> {
    run = undefined;
    const info = await inTime(client.info("server"));
    run = /^run_id:(\w+)/m.exec(info ?? "")?.[1];
    if (run === undefined) return;
    for (const read of debts.keys()) await pay(read);
  }

  // A frozen Redis takes commands and answers none: whoever waits for one must not freeze with it.
  async function inTime<Result>(command: Promise<Result>): Promise<Result | undefined> {
    let isOver = false;
    const { promise: timeout, resolve } = Promise.withResolvers<undefined>();
    const giveUp = () => {
      if (!isOver) suspendedUntil = Date.now() + suspensionMs;
      resolve(undefined);
    };
    // When it was this process that froze, the answer waits on the socket, which is read after timers.
    const timer = setTimeout(() => setImmediate(giveUp), commandTimeoutMs);
    try {
      return await Promise.race([command, timeout]);
    } catch {
      return undefined;
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  async function epochOf(read: string, known: Buffer | null): Promise<Buffer | undefined> {
    if (known !== null) return known;
    const key = epochKey(read);
    await inTime(
      client.set(key, randomBytes(epochLength), { condition: "NX", expiration: { type: "PX", value: epochTtlMs } }),
    );
    return ((await inTime(binary.get(key))) as Buffer | null | undefined) ?? undefined;
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
      const debt = debts.get(read);
      if (!isThere() || debt?.epoch !== undefined) return undefined;
      // As of now: it may be paid before this answer, which is older, has come.
      const floor = debt?.marks.get(key)?.revision ?? unrevised;
      // In this order: whoever gets the lease sees what its last holder has filled in.
      const [lease, replies] = await Promise.all([
        attempt > 0 && inTime(client.set(leaseKey(read, key), "", loadLease)),
        inTime(binary.mGet([entryKey(read, key), epochKey(read)])) as Promise<(Buffer | null)[] | undefined>,
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

  function owe(read: string, changed: ReadonlyMap<string, Revision> | "all"): void {
    const debt = debts.get(read) ?? { marks: new Map<string, Mark>(), epoch: undefined };
    debts.set(read, debt);
    if (changed !== "all") {
      for (const [key, revision] of changed)
        debt.marks.set(key, { revision: union(revision, debt.marks.get(key)?.revision ?? unrevised), isSent: false });
      if (debt.marks.size <= maxOwed) return;
      debt.marks.clear();
    }
    debt.epoch = { isSent: false };
  }

  async function pay(read: string): Promise<void> {
    const debt = debts.get(read);
    // Sent also while suspended: Redis finds it on its socket when it wakes up.
    if (debt === undefined || run === undefined) return;
    const marks = [...debt.marks].filter(([, { isSent }]) => !isSent);
    await Promise.all([
      debt.epoch?.isSent === false && send(newEpoch(read), [debt.epoch], () => (debt.epoch = undefined)),
      marks.length > 0 &&
        send(
          setMarks(read, marks),
          marks.map(([, mark]) => mark),
          () => {
            for (const [key, mark] of marks) if (debt.marks.get(key) === mark) debt.marks.delete(key);
          },
        ),
    ]);
  }

  async function send(command: Promise<unknown>, owed: { isSent: boolean }[], paid: () => void): Promise<void> {
    for (const one of owed) one.isSent = true;
    const settled = command.then(paid, () => {
      for (const one of owed) one.isSent = false;
    });
    await inTime(settled);
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
    if (isThere()) void inTime(client.del(leaseKey(read, key)));
  }

  return {
    processId,
    find,
    owe,
    pay,
    release,
    async fill(read, key, { value, revision, ageMs }, { epoch }, ttlMs) {
      if (!isThere()) return;
      const time = Buffer.alloc(8);
      time.writeDoubleBE(Date.now() - ageMs);
      const entry = Buffer.concat([revisionBytes(revision), epoch, time, value]);
      await inTime(client.setIfNewer([entryKey(read, key)], [entry], ttlMs));
      release(read, key);
    },
  };
}

function revisionBytes([first, second]: Revision): Buffer {
  const bytes = Buffer.alloc(revisionLength);
  bytes.writeBigUInt64BE(BigInt(first));
  bytes.writeBigUInt64BE(BigInt(second), 8);
  return bytes;
}
