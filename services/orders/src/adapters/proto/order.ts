import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { isAdmin, type Principal } from "@shop/auth";
import {
  type OrderEventSchema,
  type OrderSchema,
  OrderStatus as StatusOnTheWire,
} from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Order, OrderStatus, OrderTransition } from "../../domain/order.ts";

const statuses: Readonly<Record<OrderStatus, StatusOnTheWire>> = {
  pending: StatusOnTheWire.PENDING,
  confirmed: StatusOnTheWire.CONFIRMED,
  rejected: StatusOnTheWire.REJECTED,
  shipped: StatusOnTheWire.SHIPPED,
  delivered: StatusOnTheWire.DELIVERED,
  cancelled: StatusOnTheWire.CANCELLED,
  returned: StatusOnTheWire.RETURNED,
};

export function toOrderMessage(order: Order): MessageInitShape<typeof OrderSchema> {
  return {
    orderId: order.orderId,
    userId: order.userId,
    status: statuses[order.status],
    statusReason: order.statusReason,
    items: order.items.map(({ productId, name, quantity, unitPrice }) => ({
      productId,
      name,
      quantity,
      unitPrice: { ...unitPrice },
    })),
    total: { ...order.total },
    createTime: timestampFromDate(order.createTime),
    updateTime: timestampFromDate(order.updateTime),
    version: order.version,
  };
}

/**
 * A transition as `viewer` may see it: only administrators see administrators' ids.
 *
 * @param version the order's version after the transition
 */
export function toOrderEvent(
  transition: OrderTransition,
  version: number,
  viewer: Principal,
): MessageInitShape<typeof OrderEventSchema> {
  return {
    version,
    status: statuses[transition.status],
    time: timestampFromDate(transition.time),
    actor: actorFor(viewer, transition.actor),
    reason: transition.reason,
    traceId: transition.traceId,
  };
}

function actorFor(viewer: Principal, actor: string): string {
  const isOtherUser = actor.startsWith("user_") && !(viewer.kind === "user" && viewer.userId === actor);
  return isOtherUser && !isAdmin(viewer) ? "administrator" : actor;
}

/** Throws a RangeError for UNSPECIFIED and unknown numbers, which validation by the schema refuses before. */
export function toStatus(status: StatusOnTheWire): OrderStatus {
  const found = (Object.keys(statuses) as OrderStatus[]).find((name) => statuses[name] === status);
  if (found === undefined) throw new RangeError(`${status} is not a status`);
  return found;
}
