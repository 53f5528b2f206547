import { createGroupCommit } from "@shop/mongo";
import type { Db } from "mongodb";
import type { SecurityEventStore } from "../../application/ports/security-event-store.ts";
import type { SecurityEventKind } from "../../domain/security-event.ts";

interface SecurityEventDocument {
  _id: string;
  kind: SecurityEventKind;
  user_id: string;
  actor: string;
  session_id: string;
  detail: string;
  time: Date;
  expire_time: Date;
}

/** Opens the collection and creates its indexes; MongoDB deletes events at their `expire_time`. */
export async function openSecurityEventStore(db: Db): Promise<SecurityEventStore> {
  const events = db.collection<SecurityEventDocument>("security_events");
  await events.createIndexes([
    { key: { user_id: 1, _id: -1 }, name: "user" },
    { key: { expire_time: 1 }, name: "expiry", expireAfterSeconds: 0 },
  ]);
  const insert = createGroupCommit(events);
  return {
    async insert({ eventId, kind, userId, actor, sessionId, detail, time }, expireTime) {
      await insert({
        _id: eventId,
        kind,
        user_id: userId,
        actor,
        session_id: sessionId,
        detail,
        time,
        expire_time: expireTime,
      });
    },
    async list({ userId, after }, limit) {
      const documents = await events
        .find({
          ...(userId === undefined ? {} : { user_id: userId }),
          ...(after === undefined ? {} : { _id: { $lt: after } }),
        })
        .sort({ _id: -1 })
        .limit(limit)
        .toArray();
      return documents.map(({ _id, kind, user_id, actor, session_id, detail, time }) => ({
        eventId: _id,
        kind,
        userId: user_id,
        actor,
        sessionId: session_id,
        detail,
        time,
      }));
    },
  };
}
