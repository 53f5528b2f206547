import { firstIdAt, gather, newId } from "@shop/core";
import type { OutboxLag, StuckDocument } from "@shop/messaging";
import type { Collection, Db, Filter } from "mongodb";
import { asAccepted, type Order, type OrderMove } from "../../domain/order.ts";
import { fromDocument, type OrderDocument, toMoveDocument } from "./order-document.ts";

/** A transition that the stock has decided for many orders. */
export interface Decision {
  readonly decisionId: string;
  readonly orderIds: readonly string[];
  readonly move: OrderMove;
  /** Types of events of these orders that are known to be published, and so leave the outboxes. */
  readonly publishedTypes: readonly string[];
}

/**
 * A decision that is not known to be published, and so the outbox entry of all its orders at once: an entry in each order would
 * cost another write of each. It holds no events, since the orders have all that they say.
 */
export interface DecisionDocument {
  /** Ids sort by time: what is left is found by it. */
  _id: string;
  order_ids: string[];
  move: OrderDocument["history"][number];
  published_types: string[];
}

/** Decisions from their commit until the events of their orders are published. */
export interface DecisionStore {
  /** Commits decisions, before the first of their orders changes. */
  insert(decisions: readonly Omit<Decision, "decisionId">[]): Promise<readonly Decision[]>;
  /** Applies a decision to those of its orders that are still pending, and answers how many were. Safe to repeat. */
  apply(decision: Decision): Promise<number>;
  /** The orders that a decision has changed, in its order, as they were before it: changed by others since or not. */
  findApplied(decision: Decision): Promise<Order[]>;
  /** Deletes a decision, once the events of its orders are published. */
  remove(decisionId: string): Promise<void>;
  find(decisionId: string): Promise<Decision | undefined>;
  /** Decisions older than `before`, the oldest first. */
  listLeft(before: Date, limit: number): Promise<Decision[]>;
  /** The same, as documents of an outbox: an event for each order. */
  stuck(before: Date, limit: number): Promise<StuckDocument[]>;
  lag(): Promise<OutboxLag>;
}

const removedAtOnce = 256;
const maxCounted = 10_000;
const maxCountMs = 1_500;

/** The collection. It is nearly empty at all times, and needs no index. */
export function openDecisions(db: Db): Collection<DecisionDocument> {
  return db.collection<DecisionDocument>("decisions");
}

export function createDecisionStore(
  decisions: Collection<DecisionDocument>,
  orders: Collection<OrderDocument>,
): DecisionStore {
  const remove = gather<string>({
    maxItems: removedAtOnce,
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
    async apply({ orderIds, move, publishedTypes }) {
      const { matchedCount } = await orders.updateMany(
        { _id: { $in: [...orderIds] }, status: "pending" },
        {
          $set: { status: move.status, status_reason: move.reason, update_time: move.time },
          $push: { history: toMoveDocument(move) },
          $inc: { version: 1 },
          ...(publishedTypes.length === 0 ? {} : { $pull: { outbox: { type: { $in: [...publishedTypes] } } } }),
        },
      );
      return matchedCount;
    },
    async findApplied({ orderIds, move }) {
      // Another decision of the same moment says the same.
      const documents = await orders
        .find({
          _id: { $in: [...orderIds] },
          history: { $elemMatch: { time: move.time, status: move.status, reason: move.reason } },
        })
        .project<OrderDocument>({ request: 0, outbox: 0 })
        .toArray();
      const byId = new Map(documents.map((document) => [document._id, document]));
      return orderIds.flatMap((orderId) => {
        const document = byId.get(orderId);
        if (document === undefined) return [];
        // Each entry of the history is a version, from 1: as many as came before are the version that was decided on.
        const version = document.history.findIndex(
          ({ status, time }) => status === move.status && +time === +move.time,
        );
        return [{ ...asAccepted(fromDocument(document)), version }];
      });
    },
    remove,
    async find(decisionId) {
      const document = await decisions.findOne({ _id: decisionId });
      return document === null ? undefined : toDecision(document);
    },
    async listLeft(before, limit) {
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

function toDocument({ decisionId, orderIds, move, publishedTypes }: Decision): DecisionDocument {
  return {
    _id: decisionId,
    order_ids: [...orderIds],
    move: toMoveDocument(move),
    published_types: [...publishedTypes],
  };
}

function toDecision({ _id, order_ids, move, published_types }: DecisionDocument): Decision {
  const { trace_id, ...rest } = move;
  return {
    decisionId: _id,
    orderIds: order_ids,
    move: { ...rest, traceId: trace_id },
    publishedTypes: published_types,
  };
}
