import { isDuplicateKey } from "@shop/platform";
import type { Db } from "mongodb";
import { usernameTaken } from "../domain/errors.ts";
import { type Role, type User, usernameKey } from "../domain/user.ts";

interface UserDocument {
  _id: string;
  username: string;
  /** Unique: the username without its case. */
  username_key: string;
  password_hash: string;
  roles: Role[];
  create_time: Date;
}

export interface UserStore {
  /** Throws USERNAME_TAKEN when another account has the name: the unique index decides, not a look before. */
  insert(user: User): Promise<void>;
  findByUsername(username: string): Promise<User | undefined>;
  findById(userId: string): Promise<User | undefined>;
  hasAdmin(): Promise<boolean>;
}

export async function openUserStore(db: Db): Promise<UserStore> {
  const users = db.collection<UserDocument>("users");
  await users.createIndex({ username_key: 1 }, { name: "username_key", unique: true });
  await users.createIndex({ roles: 1 }, { name: "roles" });

  return {
    async insert(user) {
      try {
        await users.insertOne(toDocument(user));
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
  };
}

function toDocument(user: User): UserDocument {
  return {
    _id: user.userId,
    username: user.username,
    username_key: usernameKey(user.username),
    password_hash: user.passwordHash,
    roles: [...user.roles],
    create_time: user.createTime,
  };
}

function fromDocument(document: UserDocument): User {
  return {
    userId: document._id,
    username: document.username,
    passwordHash: document.password_hash,
    roles: document.roles,
    createTime: document.create_time,
  };
}
