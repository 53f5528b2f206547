import { firstIdAt } from "@shop/core";
import type { Outbox, PendingEvent } from "@shop/messaging";
import { createGroupCommit, isDuplicateKey } from "@shop/mongo";
import { storedRequestIds } from "@shop/rpc-server";
import type { Collection, Db, Filter, UpdateFilter } from "mongodb";
import { closedStatuses, type Order, type OrderMove, type OrderStatus, type RequestName } from "../../domain/order.ts";
import { fromDocument, type OrderDocument, toMoveDocument } from "./order-document.ts";
import type { RecentOrders } from "./recent-orders.ts";

export type InsertOutcome = "inserted" | "request_made" | "place_taken";

export interface OpenQuantity {
  /** The last one that an order of the account has taken; 0 for none. */
  readonly place: number;
  /** By product. */
  readonly units: ReadonlyMap<string, number>;
}

const openStatuses: OrderStatus[] = ["pending", "confirmed"];

export interface OrderFilter {
  readonly userId?: string | undefined;
  readonly status?: OrderStatus | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdBefore?: Date | undefined;
  /** Only orders that come after this one in the listing. */
  readonly after?: string | undefined;
}

export interface OrderStore {
  /** Commits a new order together with its events; or does nothing, when its request was made before or its place is taken. */
  insert(
    order: Order,
    move: OrderMove,
    events: readonly PendingEvent[],
    request?: RequestName,
    place?: number,
  ): Promise<InsertOutcome>;
  /** What an account has in orders that are neither final nor shipped, as a majority of the database knows it. */
  findOpenQuantity(userId: string): Promise<OpenQuantity>;
  /** What a user's request became, if it was made. */
  findByRequest(userId: string, requestId: string): Promise<{ order: Order; hash: string } | undefined>;
  findById(orderId: string): Promise<Order | undefined>;
  /** What happened to it, the oldest first. */
  findMoves(orderId: string): Promise<OrderMove[]>;
  /** Newest first. */
  list(filter: OrderFilter, limit: number): Promise<Order[]>;
  /** Those that wait for their stock since before `placedBefore`, the oldest first. */
  listPending(placedBefore: Date, limit: number): Promise<Order[]>;
  /** Those of which the stock has to hear what became of them and that moved since then, the last first, so many at a time. */
  closedSince(since: Date, atOnce: number): AsyncIterable<readonly Order[]>;
  /** Since when the oldest but `rank` of those waits that wait for their stock; undefined when no more than `rank` do. */
  pendingSince(rank: number): Promise<Date | undefined>;
  /** Commits a move together with its events; undefined, and nothing done, when the order is no longer as it was read. */
  move(read: Order, move: OrderMove, events: readonly PendingEvent[]): Promise<Order | undefined>;
  /** Takes out of the users' orders whose they are, and what they did with them. */
  forgetOwners(userIds: readonly string[]): Promise<void>;
}

/** The collection, with its indexes. */
export async function openOrders(db: Db): Promise<Collection<OrderDocument>> {
  const orders = db.collection<OrderDocument>("orders");
  await orders.createIndexes([
    { key: { user_id: 1, _id: -1 }, name: "user" },
    { key: { status: 1, _id: -1 }, name: "status" },
    // The order is the claim: kept as long as the order itself.
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
    // For what the stock has to do at an order's end, once the stream that told it is lost. No order on its way is in it.
    { key: { update_time: 1 }, name: "closed", partialFilterExpression: { status: { $in: [...closedStatuses] } } },
  ]);
  return orders;
}

export function createOrderStore(
  orders: Collection<OrderDocument>,
  outbox: Outbox,
  recent: Pick<RecentOrders, "add">,
): OrderStore {
  const insert = createGroupCommit(orders);
  return {
    async insert(order, move, events, request, place) {
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
        history: [toMoveDocument(move)],
        create_time: order.createTime,
        update_time: order.updateTime,
        ...(request === undefined ? {} : { request }),
        ...(place === undefined ? {} : { place }),
        outbox: [...events],
      };
      try {
        await insert(document);
      } catch (error) {
        if (isDuplicateKey(error, "request")) return "request_made";
        if (isDuplicateKey(error, "place")) return "place_taken";
        throw error;
      }
      recent.add(order);
      void outbox.relayUncleared(events);
      return "inserted";
    },
    async findOpenQuantity(userId) {
      const readConcern = { level: "majority" } as const;
      // The place first: what is inserted in between is counted, and finds its place taken.
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
      return { place: last?.place ?? 0, units: new Map(units.map(({ _id, units: sum }) => [_id, sum])) };
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
    async findMoves(orderId) {
      const document = await orders.findOne({ _id: orderId }, { projection: { history: 1 } });
      return (document?.history ?? []).map(({ trace_id, ...move }) => ({ ...move, traceId: trace_id }));
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
    async *closedSince(since, atOnce) {
      const closed = orders
        .find({ status: { $in: [...closedStatuses] }, update_time: { $gte: since } })
        .sort({ update_time: -1 })
        .batchSize(atOnce);
      let some: Order[] = [];
      for await (const document of closed) {
        some.push(fromDocument(document));
        if (some.length < atOnce) continue;
        yield some;
        some = [];
      }
      if (some.length > 0) yield some;
    },
    async pendingSince(rank) {
      // By the index alone: ids sort by time.
      const [order] = await orders
        .find({ status: "pending" })
        .sort({ _id: 1 })
        .skip(rank)
        .limit(1)
        .project<Pick<OrderDocument, "create_time">>({ create_time: 1 })
        .toArray();
      return order?.create_time;
    },
    async move(read, move, events) {
      const document = await orders.findOneAndUpdate(
        { _id: read.orderId, version: read.version },
        toUpdate(move, events),
        { returnDocument: "after" },
      );
      if (document === null) return undefined;
      void outbox.relay(read.orderId, events);
      return fromDocument(document);
    },
    async forgetOwners(userIds) {
      const owned = { $in: [...userIds] };
      await orders.updateMany(
        { user_id: owned },
        // Nobody is left to repeat a request.
        { $set: { user_id: "", "history.$[own].actor": "" }, $unset: { request: true, place: true } },
        { arrayFilters: [{ "own.actor": owned }] },
      );
    },
  };
}

/** An order's id is made right after its time, by another look at the clock. All orders of this long may be looked at besides a page. */
const idMarginMs = 100;

function toQuery({ userId, status, createdFrom, createdBefore, after }: OrderFilter): Filter<OrderDocument> {
  // Ids sort by time: they bound what the index has to go through, whoever filters by time.
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

function toUpdate(move: OrderMove, events: readonly PendingEvent[]) {
  return {
    $set: { status: move.status, status_reason: move.reason, update_time: move.time },
    $push: { history: toMoveDocument(move), outbox: { $each: [...events] } },
    $inc: { version: 1 },
  } satisfies UpdateFilter<OrderDocument>;
}
