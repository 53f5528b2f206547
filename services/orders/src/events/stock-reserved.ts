import type { StockReserved } from "@shop/gen/shop/inventory/v1/events_pb";
import { type Clock, currentTraceId } from "@shop/platform";
import type { OrderStore } from "../store/order-store.ts";

/** Confirms orders whose stock is set aside. Idempotent: an order that is no longer pending stays as it is. */
export function stockReserved(on: {
  readonly orders: OrderStore;
  readonly clock: Clock;
}): (events: readonly StockReserved[]) => Promise<void> {
  return async (events) => {
    const move = {
      status: "confirmed",
      time: on.clock(),
      actor: "inventory",
      reason: "",
      traceId: currentTraceId() ?? "",
    } as const;
    await on.orders.movePending(
      events.map(({ orderId }) => orderId),
      move,
    );
  };
}
