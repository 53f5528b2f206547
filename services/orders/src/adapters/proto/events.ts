import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  OrderCancelledSchema,
  OrderConfirmedSchema,
  OrderDeliveredSchema,
  OrderPlacedSchema,
  OrderRejectedSchema,
  OrderReturnedSchema,
  OrderShippedSchema,
} from "@shop/gen/shop/orders/v1/events_pb";
import { eventIdOf, type PendingEvent, pendingEvent } from "@shop/messaging";
import { type Order, type OrderMove, type OrderStatus, placedVersion } from "../../domain/order.ts";

const service = "orders";

/** Every change of an order's status is an event of a type of its own. */
const schemas = {
  pending: OrderPlacedSchema,
  confirmed: OrderConfirmedSchema,
  rejected: OrderRejectedSchema,
  shipped: OrderShippedSchema,
  delivered: OrderDeliveredSchema,
  cancelled: OrderCancelledSchema,
  returned: OrderReturnedSchema,
} satisfies Readonly<Record<OrderStatus, DescMessage>>;

/** The type of the event that tells that an order waits for its stock. */
export const placedType = OrderPlacedSchema.typeName;

/** The id of that event, as it was committed with the order. */
export function placedEventId(orderId: string): string {
  return eventIdOf(OrderPlacedSchema, { service, aggregateId: orderId, version: placedVersion });
}

/** Tells that an order waits for its stock. `n` makes a repetition an event of its own. */
export function placedEvent(order: Order, n = 0): PendingEvent {
  return statusEvent(order, { status: "pending", time: order.createTime, reason: "" }, order.version, n);
}

/** Tells of a move that makes the order the version after the one that was read. */
export function moveEvent(read: Order, move: Pick<OrderMove, "status" | "time" | "reason">): PendingEvent {
  return statusEvent(read, move, read.version + 1);
}

/**
 * Tells once more what the stock has to do for an order that has ended. `time` makes it an event of its own. Of an order
 * that is not there only the id is known.
 */
export function closedEvent(
  order: Pick<Order, "orderId" | "version"> & Partial<Order>,
  status: "cancelled" | "shipped" | "returned",
  time: Date,
): PendingEvent {
  const move = { status, time: order.updateTime ?? time, reason: order.statusReason ?? "" };
  return { ...statusEvent(order, move, order.version, time.getTime()), time };
}

function statusEvent(
  order: Pick<Order, "orderId"> & Partial<Order>,
  { status, time, reason }: Pick<OrderMove, "status" | "time" | "reason">,
  version: number,
  n = 0,
): PendingEvent {
  const { orderId, userId = "", items = [], total } = order;
  const facts = {
    orderId,
    userId,
    lines: items.map(({ productId, quantity, name, unitPrice }) => ({
      productId,
      quantity,
      productName: name,
      unitPrice: { ...unitPrice },
    })),
    ...(total && { total: { ...total } }),
    version,
    time: timestampFromDate(time),
    reason,
  };
  // Those that give no reason pass it over.
  const message: MessageInitShape<typeof OrderCancelledSchema> = facts;
  return pendingEvent<DescMessage>(schemas[status], message as MessageInitShape<DescMessage>, {
    service,
    aggregateId: orderId,
    version,
    n,
    time,
  });
}
