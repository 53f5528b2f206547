import { createGroupCommit, type Outbox, type PendingEvent } from "@shop/platform";
import type { AnyBulkWriteOperation, Collection, Db, UpdateFilter } from "mongodb";
import { type Order, type OrderMove, type OrderStatus, pendingVersion } from "../domain/order.ts";

interface MoneyDocument {
  currency_code: string;
  minor_units: bigint;
}

export interface OrderDocument {
  _id: string;
  user_id: string;
  status: OrderStatus;
  status_reason: string;
  items: { product_id: string; name: string; quantity: number; unit_price: MoneyDocument }[];
  total: MoneyDocument;
  version: number;
  history: { status: OrderStatus; time: Date; actor: string; reason: string; trace_id: string }[];
  create_time: Date;
  update_time: Date;
  outbox: PendingEvent[];
}

export interface OrderStore {
  /** Commits a new order together with its events. */
  insert(order: Order, move: OrderMove, events: readonly PendingEvent[]): Promise<void>;
  findById(orderId: string): Promise<Order | undefined>;
  /** Newest first; those after `after` in this order. */
  listByUser(userId: string, after: string | undefined, limit: number): Promise<Order[]>;
  /** Those that wait for their stock since before `placedBefore`, the oldest first. */
  listPending(placedBefore: Date, limit: number): Promise<Order[]>;
  /** Commits a move together with its events; undefined, and nothing done, when the order is no longer as it was read. */
  move(read: Order, move: OrderMove, events: readonly PendingEvent[]): Promise<Order | undefined>;
  /** Moves those of the orders that are pending; the others have an answer already. */
  movePending(moves: ReadonlyMap<string, OrderMove>): Promise<void>;
}

/** The collection, with its indexes. */
export async function openOrders(db: Db): Promise<Collection<OrderDocument>> {
  const orders = db.collection<OrderDocument>("orders");
  await orders.createIndex({ user_id: 1, _id: -1 }, { name: "user" });
  await orders.createIndex({ create_time: 1 }, { name: "pending", partialFilterExpression: { status: "pending" } });
  return orders;
}

export function createOrderStore(orders: Collection<OrderDocument>, outbox: Outbox): OrderStore {
  const { insert } = createGroupCommit(orders);
  return {
    async insert(order, move, events) {
      await insert({
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
        outbox: [...events],
      });
      void outbox.relay(order.orderId, events);
    },
    async findById(orderId) {
      const document = await orders.findOne({ _id: orderId });
      return document === null ? undefined : fromDocument(document);
    },
    async listByUser(userId, after, limit) {
      const documents = await orders
        .find({ user_id: userId, ...(after === undefined ? {} : { _id: { $lt: after } }) })
        .sort({ _id: -1 })
        .limit(limit)
        .toArray();
      return documents.map(fromDocument);
    },
    async listPending(placedBefore, limit) {
      const documents = await orders
        .find({ status: "pending", create_time: { $lt: placedBefore } })
        .sort({ create_time: 1 })
        .limit(limit)
        .toArray();
      return documents.map(fromDocument);
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
    async movePending(moves) {
      const writes = [...moves].map(
        ([_id, move]): AnyBulkWriteOperation<OrderDocument> => ({
          updateOne: { filter: { _id, version: pendingVersion }, update: toUpdate(move, []) },
        }),
      );
      if (writes.length > 0) await orders.bulkWrite(writes, { ordered: false });
    },
  };
}

function toUpdate(move: OrderMove, events: readonly PendingEvent[]): UpdateFilter<OrderDocument> {
  return {
    $set: { status: move.status, status_reason: move.reason, update_time: move.time },
    $push: { history: toMoveDocument(move), outbox: { $each: [...events] } },
    $inc: { version: 1 },
  };
}

function toMoveDocument({ status, time, actor, reason, traceId }: OrderMove): OrderDocument["history"][number] {
  return { status, time, actor, reason, trace_id: traceId };
}

function fromDocument(document: OrderDocument): Order {
  return {
    orderId: document._id,
    userId: document.user_id,
    status: document.status,
    statusReason: document.status_reason,
    items: document.items.map(({ product_id, name, quantity, unit_price }) => ({
      productId: product_id,
      name,
      quantity,
      unitPrice: { currencyCode: unit_price.currency_code, minorUnits: BigInt(unit_price.minor_units) },
    })),
    total: { currencyCode: document.total.currency_code, minorUnits: BigInt(document.total.minor_units) },
    version: document.version,
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}
