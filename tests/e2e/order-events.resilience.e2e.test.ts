import { fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { EventBatchSchema } from "@shop/gen/shop/common/v1/event_batch_pb";
import { file_shop_orders_v1_events, type OrderConfirmedSchema } from "@shop/gen/shop/orders/v1/events_pb";
import { type Order, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { natsServers } from "@shop/messaging";
import { expect, test } from "vitest";
import { operatorUrls } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import { type Account, addProduct, decided, placeOrder, shop, signInAdmin, signUp, statusName } from "./shopping.ts";
import { withholdNats } from "./withhold-nats.ts";

const backTimeoutMs = 60_000;

/** Every event of an order has these fields. */
type OrderEvent = MessageShape<typeof OrderConfirmedSchema> & { readonly reason?: string };

/** The events of some orders that a new consumer gets: type and content of each, without duplicates. */
async function eventsOf(orderIds: readonly string[]) {
  const connection = await connect(natsServers(operatorUrls(shop.dataDir).NATS_URL));
  try {
    const { state } = await (await jetstreamManager(connection)).streams.info("orders");
    const consumer = await jetstream(connection).consumers.get("orders");
    const events = new Map<string, OrderEvent>();
    const schemas = new Map(file_shop_orders_v1_events.messages.map((schema) => [schema.typeName, schema]));
    for await (const message of await consumer.consume()) {
      const isBatch = message.headers?.get("Content-Type").includes("EventBatch") ?? false;
      const payloads = isBatch
        ? fromBinary(EventBatchSchema, message.data).events.map(({ payload }) => payload)
        : [message.data];
      const schema = schemas.get(message.subject)!;
      for (const payload of payloads) {
        const event = fromBinary(schema, payload) as unknown as OrderEvent;
        if (orderIds.includes(event.orderId)) events.set(`${event.orderId} ${schema.name}`, event);
      }
      if (message.seq >= state.last_seq) break;
    }
    return events;
  } finally {
    await connection.close();
  }
}

const eventNames: Readonly<Record<string, string>> = {
  PENDING: "OrderPlaced",
  CONFIRMED: "OrderConfirmed",
  REJECTED: "OrderRejected",
  SHIPPED: "OrderShipped",
  DELIVERED: "OrderDelivered",
  CANCELLED: "OrderCancelled",
  RETURNED: "OrderReturned",
};

/** The expected events of orders, by their histories. */
async function historiesOf(buyer: Account, orders: readonly Order[]) {
  const expected = new Map<string, unknown>();
  for (const { orderId } of orders) {
    const [{ order }, { events }] = await Promise.all([
      buyer.orders.getOrderByID({ orderId }),
      buyer.orders.listOrderEvents({ orderId }),
    ]);
    for (const { status, version, time } of events) {
      expected.set(`${orderId} ${eventNames[statusName(status)]}`, {
        userId: buyer.userId,
        lines: order!.items.map(({ productId, quantity, name, unitPrice }) => [
          productId,
          quantity,
          name,
          priceOf(unitPrice),
        ]),
        total: priceOf(order!.total),
        version,
        time: timestampDate(time!),
      });
    }
  }
  return expected;
}

const priceOf = (money: Order["total"]) => `${money?.minorUnits} ${money?.currencyCode}`;

async function expectPublished(buyer: Account, orders: readonly Order[]): Promise<void> {
  await eventually(
    async () => {
      const published = await eventsOf(orders.map(({ orderId }) => orderId));
      const facts = [...published].map(([name, { userId, lines, total, version, time }]) => {
        const priced = lines.map((line) => [line.productId, line.quantity, line.productName, priceOf(line.unitPrice)]);
        return [name, { userId, lines: priced, total: priceOf(total), version, time: timestampDate(time!) }] as const;
      });
      expect(new Map(facts.toSorted())).toEqual(new Map([...(await historiesOf(buyer, orders))].toSorted()));
    },
    { timeoutMs: backTimeoutMs, everyMs: 500 },
  );
}

test("a consumer that starts later gets the events of orders that were decided while NATS was down, as in their histories", {
  timeout: 180_000,
}, async () => {
  const [buyer, admin] = [await signUp(), await signInAdmin()];
  const [product, scarce] = [await addProduct(admin), await addProduct(admin, { stock: 0 })];
  const letNatsBack = await withholdNats();
  const orders: Order[] = [];
  try {
    for (const [of, quantity] of [
      [product, 2],
      [product, 1],
      [scarce, 1],
    ] as const) {
      orders.push(await placeOrder(buyer, [of, quantity]));
    }
    for (const order of orders) await decided(buyer, order, backTimeoutMs);
  } finally {
    await letNatsBack();
  }
  await expectPublished(buyer, orders);
});

test("every change of an order's status is a complete event, whose only personal data is the account's id", {
  timeout: 120_000,
}, async () => {
  const [buyer, admin] = [await signUp(), await signInAdmin()];
  const product = await addProduct(admin);
  const [sent, cancelled] = [await placeOrder(buyer, [product, 2]), await placeOrder(buyer, [product, 1])];
  for (const order of [sent, cancelled]) await decided(buyer, order, backTimeoutMs);
  const { orderId } = sent;
  for (const status of [OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.RETURNED]) {
    await admin.orders.updateOrderStatus({ orderId, status });
  }
  await buyer.orders.cancelOrder({ orderId: cancelled.orderId });
  await expectPublished(buyer, [sent, cancelled]);
  const published = JSON.stringify([...(await eventsOf([orderId])).values()], (_, value) =>
    typeof value === "bigint" ? String(value) : value,
  );
  expect(published).not.toContain(buyer.username);
});
