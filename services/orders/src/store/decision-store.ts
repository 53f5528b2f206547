import {
  aggregateIdOf,
  batched,
  newId,
  type Outbox,
  type PendingEvent,
  unbatched,
  type WithOutbox,
} from "@shop/platform";
import type { Collection, Db } from "mongodb";
import { type Order, type OrderMove, pendingVersion } from "../domain/order.ts";
import { fromDocument, type OrderDocument, toMoveDocument } from "./order-document.ts";

/**
 * What the stock has decided for many orders, on its way to them. It is written first, then the orders are moved, then its
 * events are published and it is deleted. So each order takes part in one update of many, and its event in one document of many:
 * an event in the outbox of each order would cost as much again as the order itself. Whoever finds one left behind by a crash goes
 * on where it was: moving orders is idempotent, and only of those that did move an event is published.
 */
export interface DecisionDocument extends WithOutbox {
  order_ids: string[];
  /** Events of these orders that the stock has answered, which were published and so leave their outboxes. */
  placed_event_ids: string[];
  move: OrderDocument["history"][number];
}

/** Decisions that are on their way to their orders. */
export interface DecisionStore {
  /** Those of the orders that wait for a decision. */
  findPending(orderIds: readonly string[]): Promise<Order[]>;
  /** Moves the orders that the events tell of, unless they are no longer pending, and publishes the events of those that moved. */
  decide(move: OrderMove, events: readonly PendingEvent[], placedEventIds: readonly string[]): Promise<void>;
  /** Takes what was left behind to its orders; answers what is to be published. Safe to repeat. */
  resume(left: readonly DecisionDocument[]): Promise<DecisionDocument[]>;
}

/** A document stays well below the size that a database takes, 16 MiB. */
const maxPayloadBytes = 4 * 1024 * 1024;

export function openDecisions(db: Db): Collection<DecisionDocument> {
  return db.collection<DecisionDocument>("decisions");
}

export function createDecisionStore(on: {
  readonly decisions: Collection<DecisionDocument>;
  readonly orders: Collection<OrderDocument>;
  readonly outbox: Outbox<DecisionDocument>;
}): DecisionStore {
  const { decisions, orders, outbox } = on;

  /** Moves the orders; answers the decision with the events of those that it moved, now or before; undefined if none did. */
  async function carryOut(decision: DecisionDocument): Promise<DecisionDocument | undefined> {
    const { _id, order_ids, placed_event_ids, move } = decision;
    const { matchedCount } = await orders.updateMany(
      { _id: { $in: order_ids }, version: pendingVersion },
      {
        $set: { status: move.status, status_reason: move.reason, update_time: move.time },
        $push: { history: move },
        $inc: { version: 1 },
        ...(placed_event_ids.length === 0 ? {} : { $pull: { outbox: { id: { $in: placed_event_ids } } } }),
      },
    );
    if (matchedCount === order_ids.length) return decision;
    // Some had moved before: called off, or decided by another process, or by this decision.
    const moved = await orders
      .find({ _id: { $in: order_ids }, "history.1.status": move.status })
      .project<{ _id: string }>({ _id: 1 })
      .toArray();
    const movedIds = new Set(moved.map((order) => order._id));
    const events = unbatched(decision.outbox).filter((event) => movedIds.has(aggregateIdOf(event)));
    if (events.length > 0) return { ...decision, outbox: batched(events) };
    await decisions.deleteOne({ _id });
    return undefined;
  }

  return {
    async findPending(orderIds) {
      const documents = await orders
        .find({ _id: { $in: [...orderIds] }, version: pendingVersion })
        .project<OrderDocument>({ history: 0, request: 0, outbox: 0 })
        .toArray();
      return documents.map(fromDocument);
    },
    async decide(move, events, placedEventIds) {
      for (const part of bySize(events)) {
        const decision: DecisionDocument = {
          _id: newId("decision"),
          order_ids: part.map(aggregateIdOf),
          placed_event_ids: [...placedEventIds],
          move: toMoveDocument(move),
          outbox: batched(part),
        };
        await decisions.insertOne(decision);
        const carriedOut = await carryOut(decision);
        if (carriedOut !== undefined) void outbox.relay(decision._id, carriedOut.outbox);
      }
    },
    async resume(left) {
      const resumed: DecisionDocument[] = [];
      for (const decision of left) {
        const carriedOut = await carryOut(decision);
        if (carriedOut !== undefined) resumed.push(carriedOut);
      }
      return resumed;
    },
  };
}

function bySize(events: readonly PendingEvent[]): PendingEvent[][] {
  const parts: PendingEvent[][] = [];
  let bytes = 0;
  for (const event of events) {
    bytes += event.payload.length();
    if (parts.length === 0 || bytes > maxPayloadBytes) {
      parts.push([]);
      bytes = event.payload.length();
    }
    parts.at(-1)!.push(event);
  }
  return parts;
}
