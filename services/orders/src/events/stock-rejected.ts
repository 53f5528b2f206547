import type { StockRejected } from "@shop/gen/shop/inventory/v1/events_pb";
import { type Clock, currentTraceId } from "@shop/platform";
import type { OrderStore } from "../store/order-store.ts";

/** Rejects orders whose stock did not suffice. Idempotent: an order that is no longer pending stays as it is. */
export function stockRejected(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): (events: readonly StockRejected[]) => Promise<void> {
  return async (events) => {
    const move = { status: "rejected", time: on.clock(), actor: "inventory", traceId: currentTraceId() ?? "" } as const;
    const byReason = Map.groupBy(events, ({ reason }) => reason);
    await Promise.all(
      [...byReason].map(([reason, rejected]) =>
        on.orders.movePending(
          rejected.map(({ orderId }) => orderId),
          { ...move, reason },
        ),
      ),
    );
  };
}
