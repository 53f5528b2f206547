import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { isAdmin, type Principal } from "@shop/auth";
import {
  type OrderEventSchema,
  type OrderSchema,
  OrderStatus as StatusOnTheWire,
} from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Order, OrderMove, OrderStatus } from "../../domain/order.ts";

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
 * A move as `viewer` may see it: who the administrators are is told to administrators alone.
 *
 * @param version the order's after the move
 */
export function toOrderEvent(
  move: OrderMove,
  version: number,
  viewer: Principal,
): MessageInitShape<typeof OrderEventSchema> {
  return {
    version,
    status: statuses[move.status],
    time: timestampFromDate(move.time),
    actor: actorFor(viewer, move.actor),
    reason: move.reason,
    traceId: move.traceId,
  };
}

function actorFor(viewer: Principal, actor: string): string {
  const isSomebodyElse = actor.startsWith("user_") && !(viewer.kind === "user" && viewer.userId === actor);
  return isSomebodyElse && !isAdmin(viewer) ? "administrator" : actor;
}

/** The schema has refused every value that is not a status. */
export function toStatus(status: StatusOnTheWire): OrderStatus {
  const found = (Object.keys(statuses) as OrderStatus[]).find((name) => statuses[name] === status);
  if (found === undefined) throw new RangeError(`${status} is not a status`);
  return found;
}
