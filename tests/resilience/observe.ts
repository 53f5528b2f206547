import { fromBinary } from "@bufbuild/protobuf";
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import type { StockMovement } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { file_shop_orders_v1_events } from "@shop/gen/shop/orders/v1/events_pb";
import { type Order, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { natsServers } from "@shop/messaging";
import type { MongoClient } from "mongodb";
import type { Account } from "./buyers.ts";
import type { LedgerEntry, Observed, ObservedOrder, ObservedProduct } from "./checker.ts";

const pageSize = 100;
const productsAtOnce = 8;
const withEvents = { "outbox.0": { $exists: true } };
/** Collections, and the filter for documents with unpublished events. */
const outboxes = [
  ["orders", "orders", withEvents],
  ["orders", "decisions", {}],
  ["inventory", "ledger", withEvents],
] as const;

/** Whether work is in progress: pending orders, unpublished events. */
export async function isQuiet(admin: Account, mongo: MongoClient): Promise<boolean> {
  const { orders } = await admin.orders.listOrders({ status: OrderStatus.PENDING, pageSize: 1 });
  return orders.length === 0 && Object.values(await countOutboxes(mongo)).every((left) => left === 0);
}

/** The current number of ledger entries. */
export async function countEntries(mongo: MongoClient): Promise<number> {
  return await mongo.db("inventory").collection("ledger").countDocuments();
}

/** Reads everything that the checker needs: through the public API as an administrator, and the ledger from the database. */
export async function observe(
  admin: Account,
  mongo: MongoClient,
  natsUrl: string,
  productIds: readonly string[],
): Promise<Observed> {
  const ledger = await mongo
    .db("inventory")
    .collection<LedgerEntry>("ledger")
    .find({}, { projection: { moves: 1, decisions: 1, closings: 1 } })
    .toArray();
  return {
    orders: await readOrders(admin, mongo),
    products: await readProducts(admin, mongo, productIds),
    ledger,
    outboxes: await countOutboxes(mongo),
    publishedChanges: await readPublishedChanges(natsUrl),
  };
}

const schemas = new Map(file_shop_orders_v1_events.messages.map((schema) => [schema.typeName, schema]));

/** The status that each event reports. */
const statusOf: Readonly<Record<string, string>> = {
  OrderPlaced: "PENDING",
  OrderConfirmed: "CONFIRMED",
  OrderRejected: "REJECTED",
  OrderShipped: "SHIPPED",
  OrderDelivered: "DELIVERED",
  OrderCancelled: "CANCELLED",
  OrderReturned: "RETURNED",
};

async function readPublishedChanges(natsUrl: string): Promise<Observed["publishedChanges"]> {
  const connection = await connect(natsServers(natsUrl));
  try {
    return await eventsOfOrders(connection);
  } finally {
    await connection.close();
  }
}

/** The changes in the orders stream, from its message `firstSeq`. */
export async function eventsOfOrders(connection: NatsConnection, firstSeq = 1): Promise<Observed["publishedChanges"]> {
  const { state } = await (await jetstreamManager(connection)).streams.info("orders");
  const publishedChanges: { orderId: string; status: string }[] = [];
  if (state.messages === 0 || state.last_seq < firstSeq) return publishedChanges;
  const consumer = await jetstream(connection).consumers.get("orders", {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: firstSeq,
  });
  const messages = await consumer.consume();
  for await (const { headers, subject, data, seq } of messages) {
    const name = subject.split(".").at(-1)!;
    const isBatch = headers?.get("Content-Type").includes("EventBatch") ?? false;
    const payloads = isBatch ? fromBinary(EventBatchSchema, data).events.map(({ payload }) => payload) : [data];
    for (const payload of payloads) {
      const { orderId } = fromBinary(schemas.get(subject)!, payload) as unknown as { orderId: string };
      publishedChanges.push({ orderId, status: statusOf[name] ?? name });
    }
    if (seq >= state.last_seq) break;
  }
  await messages.close();
  await consumer.delete();
  return publishedChanges;
}

/** A decided order; times are of the services' clock, in milliseconds. */
export interface Decided {
  readonly placedAt: number;
  readonly decidedAt: number;
}

/** When orders were placed and decided, without those that were cancelled before. */
export async function decidedOrders(mongo: MongoClient): Promise<Decided[]> {
  const orders = await mongo
    .db("orders")
    .collection<{ history: { status: string; time: Date }[] }>("orders")
    .find({}, { projection: { "history.status": 1, "history.time": 1 } })
    .toArray();
  return orders.flatMap(({ history: [placed, next] }) =>
    placed !== undefined && (next?.status === "confirmed" || next?.status === "rejected")
      ? { placedAt: placed.time.getTime(), decidedAt: next.time.getTime() }
      : [],
  );
}

async function countOutboxes(mongo: MongoClient): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [database, collection, left] of outboxes) {
    counts[`${database}.${collection}`] = await mongo.db(database).collection(collection).countDocuments(left);
  }
  return counts;
}

async function readOrders(admin: Account, mongo: MongoClient): Promise<ObservedOrder[]> {
  const orders: Order[] = [];
  let pageToken = "";
  do {
    const page = await admin.orders.listOrders({ pageSize, pageToken });
    orders.push(...page.orders);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  // The API does not return request ids.
  const named = await mongo
    .db("orders")
    .collection<{ _id: string; request?: { id: string }; history: { status: string }[] }>("orders")
    .find({}, { projection: { "request.id": 1, "history.status": 1 } })
    .toArray();
  const keys = new Map(named.map(({ _id, request }) => [_id, request?.id]));
  const paths = new Map(named.map(({ _id, history }) => [_id, history.map(({ status }) => status.toUpperCase())]));
  return orders.map(({ orderId, userId, status, items }) => ({
    orderId,
    userId,
    status: Object.entries(OrderStatus).find(([, value]) => value === status)![0],
    lines: items.map(({ productId, quantity }) => ({ productId, quantity })),
    path: paths.get(orderId) ?? [],
    key: keys.get(orderId),
  }));
}

async function readProducts(admin: Account, mongo: MongoClient, ids: readonly string[]): Promise<ObservedProduct[]> {
  const documents = await mongo
    .db("inventory")
    .collection<{ _id: string; balance: { on_hand: number; reserved: number } }>("products")
    .find({ _id: { $in: [...ids] } })
    .toArray();
  const balances = new Map(documents.map(({ _id, balance }) => [_id, balance]));
  const products: ObservedProduct[] = [];
  const waiting = [...ids];
  const readNext = async () => {
    for (let productId = waiting.pop(); productId !== undefined; productId = waiting.pop()) {
      const { product } = await admin.inventory.getProductByID({ productId });
      const movements = await readMovements(admin, productId);
      const balance = balances.get(productId);
      products.push({
        productId,
        available: product!.stock,
        onHand: balance?.on_hand ?? Number.NaN,
        reserved: balance?.reserved ?? Number.NaN,
        movements,
      });
    }
  };
  await Promise.all(Array.from({ length: productsAtOnce }, readNext));
  return products;
}

async function readMovements(admin: Account, productId: string): Promise<StockMovement[]> {
  const movements: StockMovement[] = [];
  let pageToken = "";
  do {
    const page = await admin.inventory.listStockMovements({ productId, pageSize, pageToken });
    movements.push(...page.movements);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return movements.reverse();
}
