import { createBatcher, firstIdAt, newId } from "@shop/core";
import type { ChangeNotices, OutboxLag } from "@shop/messaging";
import type { Collection, Db, Filter } from "mongodb";
import type { Decision, DecisionStore } from "../../application/ports/decision-store.ts";
import { asAccepted } from "../../domain/order.ts";
import { fromDocument, type OrderDocument, toTransitionDocument } from "./order-document.ts";

/**
 * A decision until its events are published: one outbox entry for all of its orders, because an entry in each order would cost a
 * second write of each. It holds no events, since they can be built from the orders.
 */
export interface DecisionDocument {
  /** Sorts by time, so old decisions are found by id. */
  _id: string;
  order_ids: string[];
  move: OrderDocument["history"][number];
  published_types: string[];
}

const maxRemovedTogether = 256;
const maxCounted = 10_000;
const maxCountMs = 1_500;

/** The collection. It is nearly empty at all times, so it has no index of its own. */
export function openDecisions(db: Db): Collection<DecisionDocument> {
  return db.collection<DecisionDocument>("decisions");
}

export function createDecisionStore(
  decisions: Collection<DecisionDocument>,
  orders: Collection<OrderDocument>,
  announce: ChangeNotices["announce"],
): DecisionStore {
  const remove = createBatcher<string>({
    name: "remove together decisions",
    maxItems: maxRemovedTogether,
    maxInFlight: 1,
    async work(ids) {
      await decisions.deleteMany({ _id: { $in: [...ids] } });
      return new Map();
    },
  });
  const olderThan = (before: Date): Filter<DecisionDocument> => ({ _id: { $lt: firstIdAt("decision", before) } });

  return {
    async insert(wanted) {
      const inserted = wanted.map((decision) => ({ ...decision, decisionId: newId("decision") }));
      await decisions.insertMany(inserted.map(toDocument));
      return inserted;
    },
    async apply({ orderIds, transition, publishedTypes }) {
      const { matchedCount } = await orders.updateMany(
        { _id: { $in: [...orderIds] }, status: "pending" },
        {
          $set: { status: transition.status, status_reason: transition.reason, update_time: transition.time },
          $push: { history: toTransitionDocument(transition) },
          $inc: { version: 1 },
          ...(publishedTypes.length === 0 ? {} : { $pull: { outbox: { type: { $in: [...publishedTypes] } } } }),
        },
      );
      // Also without a match: an earlier attempt may have died before it announced its change.
      announce(orderIds);
      return matchedCount;
    },
    async findApplied({ orderIds, transition }) {
      // Two decisions with the same time, status and reason would publish equal events, so they need no telling apart.
      const documents = await orders
        .find({
          _id: { $in: [...orderIds] },
          history: { $elemMatch: { time: transition.time, status: transition.status, reason: transition.reason } },
        })
        .project<OrderDocument>({ request: 0, outbox: 0 })
        .toArray();
      const byId = new Map(documents.map((document) => [document._id, document]));
      return orderIds.flatMap((orderId) => {
        const document = byId.get(orderId);
        if (document === undefined) return [];
        // History entry i made version i + 1, so the index of this transition is the version before it.
        const version = document.history.findIndex(
          ({ status, time }) => status === transition.status && +time === +transition.time,
        );
        return [{ ...asAccepted(fromDocument(document)), version }];
      });
    },
    remove,
    async find(decisionId) {
      const document = await decisions.findOne({ _id: decisionId });
      return document === null ? undefined : toDecision(document);
    },
    async listUnfinished(before, limit) {
      const documents = await decisions.find(olderThan(before)).sort({ _id: 1 }).limit(limit).toArray();
      return documents.map(toDecision);
    },
    async stuck(before, limit) {
      const found = await decisions.find(olderThan(before)).sort({ _id: 1 }).limit(limit).toArray();
      return found.map(({ _id, order_ids, move }) => ({ id: _id, events: order_ids.length, since: move.time }));
    },
    async lag() {
      const [lag] = await decisions
        .aggregate<OutboxLag>(
          [
            { $limit: maxCounted },
            { $group: { _id: null, pending: { $sum: { $size: "$order_ids" } }, since: { $min: "$move.time" } } },
          ],
          { maxTimeMS: maxCountMs },
        )
        .toArray();
      return { pending: lag?.pending ?? 0, since: lag?.since };
    },
  };
}

function toDocument({ decisionId, orderIds, transition, publishedTypes }: Decision): DecisionDocument {
  return {
    _id: decisionId,
    order_ids: [...orderIds],
    move: toTransitionDocument(transition),
    published_types: [...publishedTypes],
  };
}

function toDecision({ _id, order_ids, move, published_types }: DecisionDocument): Decision {
  const { trace_id, ...rest } = move;
  return {
    decisionId: _id,
    orderIds: order_ids,
    transition: { ...rest, traceId: trace_id },
    publishedTypes: published_types,
  };
}
