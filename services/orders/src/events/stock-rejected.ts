import type { StockRejected } from "@shop/gen/shop/inventory/v1/events_pb";
import type { FollowStock } from "../application/follow-stock.ts";

/** Rejects orders whose stock did not suffice. */
export function stockRejected(on: {
  readonly followStock: FollowStock;
}): (events: readonly StockRejected[]) => Promise<void> {
  return (events) => on.followStock.reject(events);
}
