import type { Collection } from "mongodb";
import type { Outbox } from "./outbox.ts";
import type { WithOutbox } from "./pending-event.ts";

/** What waits in the documents of a collection to be published. */
export interface OutboxLag {
  readonly pending: number;
  /** When the oldest event that waits was committed. */
  readonly since: Date | undefined;
}

/** A document whose events should have been published by now. */
export interface StuckDocument {
  readonly id: string;
  readonly events: number;
  readonly since: Date;
}

/** Looks after an outbox from outside: how far it is behind, what is stuck in it, and a push. */
export interface OutboxUpkeep {
  /** Rejects when counting takes longer than whoever watches wants to wait. */
  lag(): Promise<OutboxLag>;
  /** Documents with events that have waited since before then, the oldest first. */
  stuck(before: Date, limit: number): Promise<StuckDocument[]>;
  findStuck(documentId: string, before: Date): Promise<StuckDocument | undefined>;
  /** Publishes what waits in a document and takes it out. Rejects when it can't; safe to repeat. */
  republish(documentId: string): Promise<void>;
}

/** So many documents are counted; more means trouble enough. */
const maxCounted = 100_000;
const maxCountMs = 1_500;

export function createOutboxUpkeep<Document extends WithOutbox>(
  documents: Collection<Document>,
  { publishNow }: Pick<Outbox, "publishNow">,
): OutboxUpkeep {
  const collection = documents as unknown as Collection<WithOutbox>;
  const waiting = { "outbox.0": { $exists: true } };
  const events = { $sum: { $map: { input: "$outbox", in: { $ifNull: ["$$this.batch", 1] } } } };
  const sizes = { events, since: { $min: "$outbox.time" } };

  async function stuck(filter: object, before: Date, limit: number): Promise<StuckDocument[]> {
    const found = await collection
      .find({ ...waiting, "outbox.time": { $lt: before }, ...filter })
      .sort({ "outbox.time": 1 })
      .limit(limit)
      .project<Omit<StuckDocument, "id"> & { _id: string }>(sizes)
      .toArray();
    return found.map(({ _id, events, since }) => ({ id: _id, events, since }));
  }

  return {
    async lag() {
      const [lag] = await collection
        .aggregate<OutboxLag & { since: Date }>(
          [
            { $match: { ...waiting, "outbox.time": { $gt: new Date(0) } } },
            { $limit: maxCounted },
            { $project: sizes },
            { $group: { _id: null, pending: { $sum: "$events" }, since: { $min: "$since" } } },
          ],
          { maxTimeMS: maxCountMs, hint: "outbox" },
        )
        .toArray();
      return { pending: lag?.pending ?? 0, since: lag?.since };
    },
    stuck: (before, limit) => stuck({}, before, limit),
    findStuck: async (documentId, before) => (await stuck({ _id: documentId }, before, 1))[0],
    async republish(documentId) {
      const document = await collection.findOne({ _id: documentId }, { projection: { outbox: 1 } });
      const events = document?.outbox ?? [];
      await publishNow(events);
      const ids = events.map((event) => event.id);
      await collection.updateOne({ _id: documentId }, { $pull: { outbox: { id: { $in: ids } } } });
    },
  };
}
