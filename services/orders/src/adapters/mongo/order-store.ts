import { firstIdAt } from "@shop/core";
import type { ChangeNotices, Outbox, PendingEvent } from "@shop/messaging";
import { createGroupCommit, isDuplicateKey } from "@shop/mongo";
import { storedRequestIds } from "@shop/rpc-server";
import type { Collection, Db, Filter, UpdateFilter } from "mongodb";
import type { OrderFilter, OrderStore } from "../../application/ports/order-store.ts";
import type { RecentOrders } from "../../application/ports/recent-orders.ts";
import { closedStatuses, type Order, type OrderStatus, type OrderTransition } from "../../domain/order.ts";
import { fromDocument, type OrderDocument, toTransitionDocument } from "./order-document.ts";

const openStatuses: OrderStatus[] = ["pending", "confirmed"];

/** Opens the collection and creates its indexes. */
export async function openOrders(db: Db): Promise<Collection<OrderDocument>> {
  const orders = db.collection<OrderDocument>("orders");
  await orders.createIndexes([
    { key: { user_id: 1, _id: -1 }, name: "user" },
    { key: { status: 1, _id: -1 }, name: "status" },
    // The order itself claims the idempotency key, for as long as it exists.
    {
      key: { user_id: 1, "request.id": 1 },
      name: "request",
      unique: true,
      partialFilterExpression: { "request.id": { $exists: true } },
    },
    {
      key: { user_id: 1, place: -1 },
      name: "place",
      unique: true,
      partialFilterExpression: { place: { $exists: true } },
    },
    { key: { user_id: 1 }, name: "open", partialFilterExpression: { status: { $in: openStatuses } } },
    // For recoverClosings. Partial, so that orders in progress cost it nothing.
    { key: { update_time: 1 }, name: "closed", partialFilterExpression: { status: { $in: [...closedStatuses] } } },
  ]);
  return orders;
}

export function createOrderStore(
  orders: Collection<OrderDocument>,
  outbox: Outbox,
  recent: Pick<RecentOrders, "add">,
  announce: ChangeNotices["announce"],
): OrderStore {
  const insert = createGroupCommit(orders);
  return {
    async insert(order, transition, events, key, sequence) {
      const document: OrderDocument = {
        _id: order.orderId,
        user_id: order.userId,
        status: order.status,
        status_reason: order.statusReason,
        items: order.items.map(({ productId, name, quantity, unitPrice }) => ({
          product_id: productId,
          name,
          quantity,
          unit_price: { currency_code: unitPrice.currencyCode, minor_units: unitPrice.minorUnits },
        })),
        total: { currency_code: order.total.currencyCode, minor_units: order.total.minorUnits },
        version: order.version,
        history: [toTransitionDocument(transition)],
        create_time: order.createTime,
        update_time: order.updateTime,
        ...(key === undefined ? {} : { request: key }),
        ...(sequence === undefined ? {} : { place: sequence }),
        outbox: [...events],
      };
      try {
        await insert(document);
      } catch (error) {
        if (isDuplicateKey(error, "request")) return "request_made";
        if (isDuplicateKey(error, "place")) return "sequence_taken";
        throw error;
      }
      recent.add(order);
      void outbox.relayUncleared(events);
      return "inserted";
    },
    async findOpenQuantity(userId) {
      const readConcern = { level: "majority" } as const;
      // The sequence number is read first: an order inserted between the two reads is counted, and makes the caller's insert conflict.
      const [last] = await orders
        .find({ user_id: userId, place: { $exists: true } }, { readConcern, hint: "place" })
        .sort({ place: -1 })
        .limit(1)
        .project<Pick<OrderDocument, "place">>({ place: 1 })
        .toArray();
      const units = await orders
        .aggregate<{ _id: string; units: number }>(
          [
            { $match: { user_id: userId, status: { $in: openStatuses } } },
            { $unwind: "$items" },
            { $group: { _id: "$items.product_id", units: { $sum: "$items.quantity" } } },
          ],
          { readConcern, hint: "open" },
        )
        .toArray();
      return { sequence: last?.place ?? 0, units: new Map(units.map(({ _id, units: sum }) => [_id, sum])) };
    },
    async findByRequest(userId, requestId) {
      const document = await orders.findOne({
        user_id: userId,
        "request.id": { $in: storedRequestIds(requestId) },
      });
      return document?.request && { order: fromDocument(document), hash: document.request.hash };
    },
    async findById(orderId) {
      const document = await orders.findOne({ _id: orderId });
      return document === null ? undefined : fromDocument(document);
    },
    async findTransitions(orderIds) {
      const documents = await orders
        .find({ _id: { $in: [...orderIds] } })
        .project<Pick<OrderDocument, "_id" | "history">>({ history: 1 })
        .toArray();
      return new Map(
        documents.map(({ _id, history }) => [
          _id,
          history.map(({ trace_id, ...transition }) => ({ ...transition, traceId: trace_id })),
        ]),
      );
    },
    async versionsOf(orderIds) {
      const documents = await orders
        .find({ _id: { $in: [...orderIds] } })
        .project<Pick<OrderDocument, "_id" | "version">>({ version: 1 })
        .toArray();
      return new Map(documents.map(({ _id, version }) => [_id, version]));
    },
    async list(filter, limit) {
      const documents = await orders.find(toQuery(filter)).sort({ _id: -1 }).limit(limit).toArray();
      return documents.map(fromDocument);
    },
    async listPending(placedBefore, limit) {
      const documents = await orders
        .find({ status: "pending", create_time: { $lt: placedBefore } })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(fromDocument);
    },
    async *closedSince(since, batchSize) {
      const closed = orders
        .find({ status: { $in: [...closedStatuses] }, update_time: { $gte: since } })
        .sort({ update_time: -1 })
        .batchSize(batchSize);
      let batch: Order[] = [];
      for await (const document of closed) {
        batch.push(fromDocument(document));
        if (batch.length < batchSize) continue;
        yield batch;
        batch = [];
      }
      if (batch.length > 0) yield batch;
    },
    async pendingSince(rank) {
      // Ids sort by time, so the status index alone finds the order.
      const [order] = await orders
        .find({ status: "pending" })
        .sort({ _id: 1 })
        .skip(rank)
        .limit(1)
        .project<Pick<OrderDocument, "create_time">>({ create_time: 1 })
        .toArray();
      return order?.create_time;
    },
    async transition(read, transition, events) {
      const document = await orders.findOneAndUpdate(
        { _id: read.orderId, version: read.version },
        toUpdate(transition, events),
        { returnDocument: "after" },
      );
      if (document === null) return undefined;
      announce([read.orderId]);
      void outbox.relay(read.orderId, events);
      return fromDocument(document);
    },
    async forgetOwners(userIds) {
      const owned = { $in: [...userIds] };
      await orders.updateMany(
        { user_id: owned },
        // Also removes the idempotency keys, which a deleted account no longer needs.
        { $set: { user_id: "", "history.$[own].actor": "" }, $unset: { request: true, place: true } },
        { arrayFilters: [{ "own.actor": owned }] },
      );
    },
  };
}

/**
 * An order's id takes its time from a second reading of the clock, after `create_time`. So bounds of ids are this much wider than
 * those of times, and a page may read the orders of this long in addition.
 */
const idMarginMs = 100;

function toQuery({ userId, status, createdFrom, createdBefore, after }: OrderFilter): Filter<OrderDocument> {
  // Ids sort by time, so bounds of ids keep a filter by time from scanning the rest of the index.
  const ids = [
    ...(createdFrom ? [{ _id: { $gte: firstIdAt("order", new Date(createdFrom.getTime() - idMarginMs)) } }] : []),
    ...(createdBefore ? [{ _id: { $lt: firstIdAt("order", new Date(createdBefore.getTime() + idMarginMs)) } }] : []),
    ...(after === undefined ? [] : [{ _id: { $lt: after } }]),
  ];
  const times = [
    ...(createdFrom ? [{ create_time: { $gte: createdFrom } }] : []),
    ...(createdBefore ? [{ create_time: { $lt: createdBefore } }] : []),
  ];
  const conditions = [...ids, ...times];
  return {
    ...(userId === undefined ? {} : { user_id: userId }),
    ...(status === undefined ? {} : { status }),
    ...(conditions.length === 0 ? {} : { $and: conditions }),
  };
}

function toUpdate(transition: OrderTransition, events: readonly PendingEvent[]) {
  return {
    $set: { status: transition.status, status_reason: transition.reason, update_time: transition.time },
    $push: { history: toTransitionDocument(transition), outbox: { $each: [...events] } },
    $inc: { version: 1 },
  } satisfies UpdateFilter<OrderDocument>;
}
