import type { Outbox, PendingEvent } from "@shop/messaging";
import { createGroupCommit } from "@shop/mongo";
import { Binary, type Collection, type Db } from "mongodb";
import type { SessionStore } from "../../application/ports/session-store.ts";
import type { Session } from "../../domain/session.ts";

interface SessionDocument {
  _id: string;
  user_id: string;
  user_version: number;
  family_hash: Binary;
  token_hash: Binary;
  spent: { hash: Binary; nonce: Binary; time: Date }[];
  user_agent: string;
  create_time: Date;
  last_use_time: Date;
  expire_time: Date;
  /** Set when the session was ended before it expired. */
  end_time?: Date;
  outbox: PendingEvent[];
}

type EndedRow = Pick<SessionDocument, "_id" | "user_id"> & { end_time: Date };

/** Opens the collection and creates its indexes; MongoDB deletes sessions at their `expire_time`. */
export async function openSessions(db: Db): Promise<Collection<SessionDocument>> {
  const sessions = db.collection<SessionDocument>("sessions");
  await sessions.createIndexes([
    { key: { family_hash: 1 }, name: "family", unique: true },
    { key: { user_id: 1, _id: -1 }, name: "user" },
    { key: { expire_time: 1 }, name: "expiry", expireAfterSeconds: 0 },
    { key: { end_time: 1 }, name: "ended", partialFilterExpression: { end_time: { $exists: true } } },
  ]);
  return sessions;
}

export function createSessionStore(sessions: Collection<SessionDocument>, outbox: Outbox): SessionStore {
  const notEnded = { end_time: { $exists: false } };
  const insert = createGroupCommit(sessions);
  return {
    insert: (session) => insert(toDocument(session)),
    async findById(sessionId) {
      const document = await sessions.findOne({ _id: sessionId, ...notEnded });
      return document === null ? undefined : fromDocument(document);
    },
    async findByFamily(familyHash) {
      const document = await sessions.findOne({ family_hash: new Binary(familyHash), ...notEnded });
      return document === null ? undefined : fromDocument(document);
    },
    async list({ userId, sessionsSince, now, after }, limit) {
      const documents = await sessions
        .find({
          user_id: userId,
          user_version: { $gte: sessionsSince },
          expire_time: { $gt: now },
          ...notEnded,
          ...(after === undefined ? {} : { _id: { $lt: after } }),
        })
        .sort({ _id: -1 })
        .limit(limit)
        .toArray();
      return documents.map(fromDocument);
    },
    async rotate(read, { tokenHash, spent, lastUseTime, expireTime }) {
      const { matchedCount } = await sessions.updateOne(
        { _id: read.sessionId, token_hash: new Binary(read.tokenHash), ...notEnded },
        {
          $set: {
            token_hash: new Binary(tokenHash),
            spent: spent.map(spentToDocument),
            last_use_time: lastUseTime,
            expire_time: expireTime,
          },
        },
      );
      return matchedCount === 1;
    },
    async end(sessionId, now, events) {
      const { matchedCount } = await sessions.updateOne(
        { _id: sessionId, ...notEnded },
        { $set: { end_time: now }, $push: { outbox: { $each: [...events] } } },
      );
      if (matchedCount === 0) return false;
      void outbox.relay(sessionId, events);
      return true;
    },
    async *endedSince(since) {
      const ended = sessions.find({ end_time: { $gte: since } }).project<EndedRow>({ user_id: 1, end_time: 1 });
      for await (const { _id, user_id, end_time } of ended)
        yield { sessionId: _id, userId: user_id, endTime: end_time };
    },
    async keep(read, userVersion) {
      await sessions.updateOne({ _id: read.sessionId, ...notEnded }, { $set: { user_version: userVersion } });
    },
    async removeAll(userId) {
      await sessions.deleteMany({ user_id: userId });
    },
  };
}

function spentToDocument({ hash, nonce, time }: Session["spent"][number]): SessionDocument["spent"][number] {
  return { hash: new Binary(hash), nonce: new Binary(nonce), time };
}

function toDocument(session: Session): SessionDocument {
  return {
    _id: session.sessionId,
    user_id: session.userId,
    user_version: session.userVersion,
    family_hash: new Binary(session.familyHash),
    token_hash: new Binary(session.tokenHash),
    spent: session.spent.map(spentToDocument),
    user_agent: session.userAgent,
    create_time: session.createTime,
    last_use_time: session.lastUseTime,
    expire_time: session.expireTime,
    outbox: [],
  };
}

function fromDocument(document: SessionDocument): Session {
  return {
    sessionId: document._id,
    userId: document.user_id,
    userVersion: document.user_version,
    familyHash: document.family_hash.buffer,
    tokenHash: document.token_hash.buffer,
    spent: document.spent.map(({ hash, nonce, time }) => ({ hash: hash.buffer, nonce: nonce.buffer, time })),
    userAgent: document.user_agent,
    createTime: document.create_time,
    lastUseTime: document.last_use_time,
    expireTime: document.expire_time,
  };
}
