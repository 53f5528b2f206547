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
import { type Order, type OrderStatus, type OrderTransition, placedVersion } from "../../domain/order.ts";

const service = "orders";

/** Each status has its own event type. */
const schemas = {
  pending: OrderPlacedSchema,
  confirmed: OrderConfirmedSchema,
  rejected: OrderRejectedSchema,
  shipped: OrderShippedSchema,
  delivered: OrderDeliveredSchema,
  cancelled: OrderCancelledSchema,
  returned: OrderReturnedSchema,
} satisfies Readonly<Record<OrderStatus, DescMessage>>;

export const placedType = OrderPlacedSchema.typeName;

/** The id of the OrderPlaced that was committed with the order. */
export function placedEventId(orderId: string): string {
  return eventIdOf(OrderPlacedSchema, { service, aggregateId: orderId, version: placedVersion });
}

/** OrderPlaced. Another `n` gives a repetition its own event id, so that the stream does not drop it as a duplicate. */
export function placedEvent(order: Order, n = 0): PendingEvent {
  return statusEvent(order, { status: "pending", time: order.createTime, reason: "" }, order.version, n);
}

/** The event of a transition from `read` to the next version. */
export function transitionEvent(
  read: Order,
  transition: Pick<OrderTransition, "status" | "time" | "reason">,
): PendingEvent {
  return statusEvent(read, transition, read.version + 1);
}

/**
 * A repetition of the event by which inventory closes the order's reservation. `time` gives it its own event id. For an order that
 * does not exist only the id and a version of 0 are known.
 */
export function closedEvent(
  order: Pick<Order, "orderId" | "version"> & Partial<Order>,
  status: "cancelled" | "shipped" | "returned",
  time: Date,
): PendingEvent {
  const transition = { status, time: order.updateTime ?? time, reason: order.statusReason ?? "" };
  return { ...statusEvent(order, transition, order.version, time.getTime()), time };
}

function statusEvent(
  order: Pick<Order, "orderId"> & Partial<Order>,
  { status, time, reason }: Pick<OrderTransition, "status" | "time" | "reason">,
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
  // Event types without a reason ignore it.
  const message: MessageInitShape<typeof OrderCancelledSchema> = facts;
  return pendingEvent<DescMessage>(schemas[status], message as MessageInitShape<DescMessage>, {
    service,
    aggregateId: orderId,
    version,
    n,
    time,
  });
}
