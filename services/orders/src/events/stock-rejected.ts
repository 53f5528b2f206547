import type { StockRejected } from "@shop/gen/shop/inventory/v1/events_pb";
import type { StockDecisions } from "../application/stock-decisions.ts";

/** Rejects orders for which there was not enough stock. Idempotent. */
export function stockRejected(on: {
  readonly stockDecisions: StockDecisions;
}): (events: readonly StockRejected[]) => Promise<void> {
  return (events) => on.stockDecisions.reject(events);
}
