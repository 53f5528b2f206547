import { newId } from "@shop/core";
import { type ChangeNotices, openOutbox, type PendingEvent } from "@shop/messaging";
import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { createDecisionStore, openDecisions } from "../adapters/mongo/decision-store.ts";
import { createOrderStore, openOrders } from "../adapters/mongo/order-store.ts";
import { createRecentOrders } from "../adapters/mongo/recent-orders.ts";
import { placedEvent } from "../adapters/proto/events.ts";
import { createStockDecisions } from "../application/stock-decisions.ts";
import type { Order } from "../domain/order.ts";

/** The order store on its own database, with a clock, a bus and a `repeat` that records events. */
export async function openTestOrders(announce: ChangeNotices["announce"] = () => {}) {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  await bus.ensureStream("orders", ["shop.orders.v1.>"]);
  const documents = await openOrders(db);
  const outbox = await openOutbox(documents, { label: "orders", bus, log: silentLog });
  const decisionDocuments = openDecisions(db);
  const decisions = createDecisionStore(decisionDocuments, documents, announce);
  const recent = createRecentOrders();
  const orders = createOrderStore(documents, outbox, recent, announce);
  const clock = () => new Date();
  const decidedAfter = (_seconds: number) => {};

  /** Places an order as CreateOrder does. */
  async function place(createTime = new Date()): Promise<Order> {
    const price = { currencyCode: "EUR", minorUnits: 100n };
    const order: Order = {
      orderId: newId("order"),
      userId: newId("user"),
      status: "pending",
      statusReason: "",
      items: [{ productId: newId("product"), name: "Thing", quantity: 1, unitPrice: price }],
      total: price,
      version: 1,
      createTime,
      updateTime: createTime,
    };
    const transition = { status: "pending", time: createTime, actor: order.userId, reason: "", traceId: "" } as const;
    await orders.insert(order, transition, [placedEvent(order)]);
    return order;
  }

  const repeated: PendingEvent[] = [];
  const repeat = async (events: readonly PendingEvent[]) => void repeated.push(...events);
  return {
    orders,
    documents,
    outbox,
    upkeep: outbox.upkeep,
    place,
    repeat,
    repeated,
    clock,
    decisions,
    decisionDocuments,
    recent,
    decidedAfter,
    stockDecisions: createStockDecisions({
      decisions,
      recent,
      publish: outbox.publishNow,
      decidedAfter,
      clock,
      log: silentLog,
    }),
  };
}
