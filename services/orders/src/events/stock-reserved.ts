import type { StockReserved } from "@shop/gen/shop/inventory/v1/events_pb";
import type { FollowStock } from "../application/follow-stock.ts";

/** Confirms orders whose stock is set aside. */
export function stockReserved(on: {
  readonly followStock: FollowStock;
}): (events: readonly StockReserved[]) => Promise<void> {
  return (events) => on.followStock.confirm(events);
}
