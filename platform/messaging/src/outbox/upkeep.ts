import type { Collection } from "mongodb";
import type { Outbox } from "./outbox.ts";
import type { WithOutbox } from "./pending-event.ts";

/** The pending events of a collection. */
export interface OutboxLag {
  readonly pending: number;
  /** When the oldest pending event was committed. */
  readonly since: Date | undefined;
}

/** A document whose events should have been published by now. */
export interface StuckDocument {
  readonly id: string;
  readonly events: number;
  readonly since: Date;
}

/** Inspects and repairs an outbox: its lag, stuck documents, and republishing. */
export interface OutboxUpkeep {
  /** Rejects if counting takes over 1.5 s. */
  lag(): Promise<OutboxLag>;
  /** Documents with events committed before this time, oldest first. */
  stuck(before: Date, limit: number): Promise<StuckDocument[]>;
  findStuck(documentId: string, before: Date): Promise<StuckDocument | undefined>;
  /** Publishes a document's pending events and removes them. Rejects if it can't; safe to retry. */
  republish(documentId: string): Promise<void>;
}

/** The most documents that are counted. */
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
