import { isDuplicateKey, type Outbox, type PendingEvent } from "@shop/platform";
import type { Collection, Db } from "mongodb";
import { usernameTaken } from "../domain/errors.ts";
import { type Role, type User, usernameKey } from "../domain/user.ts";

interface UserDocument {
  _id: string;
  username: string;
  /** Unique: the username without its case. */
  username_key: string;
  password_hash: string;
  roles: Role[];
  version: number;
  /** Sessions of earlier versions have ended. */
  sessions_since: number;
  create_time: Date;
  update_time: Date;
  outbox: PendingEvent[];
}

export interface UserStore {
  /** Throws USERNAME_TAKEN when another account has the name: the unique index decides, not a look before. */
  insert(user: User): Promise<void>;
  findByUsername(username: string): Promise<User | undefined>;
  findById(userId: string): Promise<User | undefined>;
  hasAdmin(): Promise<boolean>;
  /**
   * Writes `changed` over the version that was read, together with the events that tell of it; false, and nothing done, when it
   * is no longer the version there is.
   */
  update(read: User, changed: User, events: readonly PendingEvent[]): Promise<boolean>;
}

/** The collection, with its indexes. */
export async function openUsers(db: Db): Promise<Collection<UserDocument>> {
  const users = db.collection<UserDocument>("users");
  await users.createIndex({ username_key: 1 }, { name: "username_key", unique: true });
  await users.createIndex({ roles: 1 }, { name: "roles" });
  // Accounts of before there were versions.
  await users.updateMany({ version: { $exists: false } }, [
    { $set: { version: 1, sessions_since: 1, update_time: "$create_time", outbox: [] } },
  ]);
  return users;
}

export function createUserStore(users: Collection<UserDocument>, outbox: Outbox): UserStore {
  return {
    async insert(user) {
      try {
        await users.insertOne({ ...toDocument(user), outbox: [] });
      } catch (error) {
        if (isDuplicateKey(error, "username_key")) throw usernameTaken();
        throw error;
      }
    },
    async findByUsername(username) {
      const document = await users.findOne({ username_key: usernameKey(username) });
      return document === null ? undefined : fromDocument(document);
    },
    async findById(userId) {
      const document = await users.findOne({ _id: userId });
      return document === null ? undefined : fromDocument(document);
    },
    async hasAdmin() {
      return (await users.findOne({ roles: "admin" }, { projection: { _id: 1 } })) !== null;
    },
    async update(read, changed, events) {
      const { _id, ...fields } = toDocument(changed);
      const { matchedCount } = await users.updateOne(
        { _id, version: read.version },
        { $set: fields, $push: { outbox: { $each: [...events] } } },
      );
      if (matchedCount === 0) return false;
      void outbox.relay(_id, events);
      return true;
    },
  };
}

function toDocument(user: User): Omit<UserDocument, "outbox"> {
  return {
    _id: user.userId,
    username: user.username,
    username_key: usernameKey(user.username),
    password_hash: user.passwordHash,
    roles: [...user.roles],
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
    passwordHash: document.password_hash,
    roles: document.roles,
    version: document.version,
    sessionsSince: document.sessions_since,
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}
