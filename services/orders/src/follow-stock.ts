import { type Clock, currentTraceId } from "@shop/platform";
import type { OrderMove } from "./domain/order.ts";
import type { OrderStore } from "./store/order-store.ts";

/** Moves orders as their stock was decided. Idempotent: an order that is no longer pending stays as it is. */
export interface FollowStock {
  /** Their stock is set aside. */
  confirm(orderIds: readonly string[]): Promise<void>;
  /** Their stock did not suffice. */
  reject(refusals: readonly { readonly orderId: string; readonly reason: string }[]): Promise<void>;
}

export function createFollowStock(on: {
  readonly orders: Pick<OrderStore, "movePending">;
  readonly clock: Clock;
}): FollowStock {
  const moveTo = (status: OrderMove["status"], reason: string): OrderMove => {
    return { status, time: on.clock(), actor: "inventory", reason, traceId: currentTraceId() ?? "" };
  };
  return {
    confirm: (orderIds) => on.orders.movePending(orderIds, moveTo("confirmed", "")),
    async reject(refusals) {
      const byReason = Map.groupBy(refusals, ({ reason }) => reason);
      await Promise.all(
        [...byReason].map(([reason, rejected]) =>
          on.orders.movePending(
            rejected.map(({ orderId }) => orderId),
            moveTo("rejected", reason),
          ),
        ),
      );
    },
  };
}
