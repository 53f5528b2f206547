import type { Outbox, PendingEvent } from "@shop/messaging";
import { isDuplicateKey } from "@shop/mongo";
import DataLoader from "dataloader";
import type { ClientSession, Collection, Db, UpdateFilter } from "mongodb";
import type { UserStore } from "../../application/ports/user-store.ts";
import { lastAdmin, usernameTaken } from "../../domain/errors.ts";
import { isActiveAdmin, type Role, type User, usernameKey } from "../../domain/user.ts";

interface UserDocument {
  _id: string;
  username: string;
  /** Unique: see `usernameKey`. For a deleted account, a text that is not a valid username. */
  username_key: string;
  display_name: string;
  password_hash: string;
  roles: Role[];
  disabled: boolean;
  version: number;
  /** Sessions that were opened at earlier versions have ended. */
  sessions_since: number;
  create_time: Date;
  update_time: Date;
  /** Set when the account is deleted; little else remains then. */
  delete_time?: Date;
  /** The last event that revoked access, to be published again if the stream is lost. */
  last_revocation?: PendingEvent;
  /** The idempotency key of the registration, unique over all accounts. */
  request_id?: string;
  outbox: PendingEvent[];
}

/** A document that every loss of an administrator writes, so that two concurrent ones conflict. */
interface GuardDocument {
  _id: "admins";
  changes: number;
}

/** Opens the collections, creates their indexes and migrates old accounts. */
export async function openUsers(db: Db) {
  const users = db.collection<UserDocument>("users");
  const guard = db.collection<GuardDocument>("users_guard");
  await users.createIndex({ username_key: 1 }, { name: "username_key", unique: true });
  await users.createIndex({ roles: 1 }, { name: "roles" });
  await users.createIndex(
    { request_id: 1 },
    { name: "request", unique: true, partialFilterExpression: { request_id: { $exists: true } } },
  );
  for (const [name, field] of [
    ["revoked", "last_revocation.time"],
    ["deleted", "delete_time"],
  ] as const) {
    await users.createIndex({ [field]: 1 }, { name, partialFilterExpression: { [field]: { $exists: true } } });
  }
  // Early releases stored accounts without versions.
  await users.updateMany({ version: { $exists: false } }, [
    {
      $set: {
        display_name: "",
        disabled: false,
        version: 1,
        sessions_since: 1,
        update_time: "$create_time",
        outbox: [],
      },
    },
  ]);
  try {
    await guard.insertOne({ _id: "admins", changes: 0 });
  } catch (error) {
    if (!isDuplicateKey(error)) throw error;
  }
  return { users, guard };
}

export function createUserStore(
  { users, guard }: { users: Collection<UserDocument>; guard: Collection<GuardDocument> },
  outbox: Outbox,
): UserStore {
  const notDeleted = { delete_time: { $exists: false } };
  const activeAdmin = { roles: "admin" as const, disabled: false, ...notDeleted };
  /** Batches lookups of the same turn of the event loop. */
  const byName = new DataLoader<string, User | undefined>(
    async (keys) => {
      const found = await users.find({ username_key: { $in: [...keys] }, ...notDeleted }).toArray();
      const documents = new Map(found.map((document) => [document.username_key, document]));
      return keys.map((key) => {
        const document = documents.get(key);
        return document && fromDocument(document);
      });
    },
    { cache: false, maxBatchSize: 100, batchScheduleFn: setImmediate },
  );

  /** Concurrent losses of administrators both write the guard, so one transaction retries and then sees the other's result. */
  async function unlessLastAdmin(
    userId: string,
    write: (session: ClientSession) => Promise<boolean>,
  ): Promise<boolean> {
    return await users.db.client!.withSession((session) =>
      session.withTransaction(
        async () => {
          await guard.updateOne({ _id: "admins" }, { $inc: { changes: 1 } }, { session });
          const another = await users.findOne(
            { ...activeAdmin, _id: { $ne: userId } },
            { session, projection: { _id: 1 } },
          );
          if (another === null) throw lastAdmin();
          return await write(session);
        },
        { readConcern: { level: "snapshot" }, writeConcern: { w: "majority", j: true } },
      ),
    );
  }

  async function write(read: User, becomes: User | undefined, update: UpdateFilter<UserDocument>): Promise<boolean> {
    const matches = async (session?: ClientSession) => {
      const filter = { _id: read.userId, version: read.version, ...notDeleted };
      return (await users.updateOne(filter, update, { ...(session && { session }) })).matchedCount === 1;
    };
    const losesAdmin = isActiveAdmin(read) && !(becomes && isActiveAdmin(becomes));
    return losesAdmin ? await unlessLastAdmin(read.userId, matches) : await matches();
  }

  return {
    async insert(user, requestId) {
      try {
        await users.insertOne({
          ...toDocument(user),
          ...(requestId !== undefined && { request_id: requestId }),
          outbox: [],
        });
        return "inserted";
      } catch (error) {
        if (isDuplicateKey(error, "request")) return "request_made";
        if (isDuplicateKey(error, "username_key")) throw usernameTaken();
        throw error;
      }
    },
    async findByRequest(requestId) {
      const document = await users.findOne({ request_id: requestId });
      return document === null ? undefined : fromDocument(document);
    },
    findByUsername: (username) => byName.load(usernameKey(username)),
    async findById(userId) {
      const document = await users.findOne({ _id: userId, ...notDeleted });
      return document === null ? undefined : fromDocument(document);
    },
    async list({ usernamePrefix, after }, limit) {
      const prefix = usernameKey(usernamePrefix);
      const documents = await users
        .find({
          username_key: {
            ...(after === undefined ? { $gte: prefix } : { $gt: usernameKey(after) }),
            // The last code point sorts after every continuation of the prefix.
            $lt: `${prefix}\u{10ffff}`,
          },
          ...notDeleted,
        })
        .sort({ username_key: 1 })
        .limit(limit)
        .toArray();
      return documents.map(fromDocument);
    },
    async hasAdmin() {
      return (await users.findOne({ roles: "admin", ...notDeleted }, { projection: { _id: 1 } })) !== null;
    },
    async update(read, changed, events) {
      const { _id, ...fields } = toDocument(changed);
      const update = { $set: { ...fields, ...revocationIn(events) }, $push: { outbox: { $each: [...events] } } };
      if (!(await write(read, changed, update))) return false;
      void outbox.relay(_id, events);
      return true;
    },
    async replaceHash(read, passwordHash) {
      const filter = { _id: read.userId, password_hash: read.passwordHash };
      await users.updateOne(filter, { $set: { password_hash: passwordHash } });
    },
    async remove(read, now, events, later) {
      const erased = { username: "", display_name: "", password_hash: "", roles: [] };
      const update = {
        $set: {
          ...erased,
          ...revocationIn(events),
          // Usernames can't contain a colon.
          username_key: `deleted:${read.userId}`,
          update_time: now,
          delete_time: now,
        },
        $inc: { version: 1 },
        $push: { outbox: { $each: [...events, ...later] } },
      };
      if (!(await write(read, undefined, update))) return false;
      void outbox.relay(read.userId, events);
      return true;
    },
    async *revokedSince(since) {
      const revoked = users
        .find({ "last_revocation.time": { $gte: since } })
        .project<Required<Pick<UserDocument, "last_revocation">>>({ last_revocation: 1 });
      for await (const { last_revocation } of revoked) yield last_revocation;
    },
    async *deletedSince(since, before) {
      const deleted = users
        .find({ delete_time: { $gte: since, $lt: before } })
        .project<Pick<UserDocument, "_id" | "version"> & { delete_time: Date }>({ version: 1, delete_time: 1 });
      for await (const { _id, version, delete_time } of deleted) {
        yield { userId: _id, version, deleteTime: delete_time };
      }
    },
  };
}

/** The field that keeps the last revocation. A later one covers all earlier ones. */
function revocationIn(events: readonly PendingEvent[]): Pick<UserDocument, "last_revocation"> {
  const last_revocation = events.at(-1);
  return last_revocation === undefined ? {} : { last_revocation };
}

function toDocument(user: User): Omit<UserDocument, "outbox"> {
  return {
    _id: user.userId,
    username: user.username,
    username_key: usernameKey(user.username),
    display_name: user.displayName,
    password_hash: user.passwordHash,
    roles: [...user.roles],
    disabled: user.disabled,
    version: user.version,
    sessions_since: user.sessionsSince,
    create_time: user.createTime,
    update_time: user.updateTime,
  };
}

function fromDocument(document: UserDocument): User {
  return {
    userId: document._id,
    username: document.username,
    displayName: document.display_name,
    passwordHash: document.password_hash,
    roles: document.roles,
    disabled: document.disabled,
    version: document.version,
    sessionsSince: document.sessions_since,
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}
