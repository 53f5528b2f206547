import type { StockReserved } from "@shop/gen/shop/inventory/v1/events_pb";
import type { StockDecisions } from "../application/stock-decisions.ts";

/** Confirms orders whose stock is reserved. Idempotent. */
export function stockReserved(on: {
  readonly stockDecisions: StockDecisions;
}): (events: readonly StockReserved[]) => Promise<void> {
  return (events) => on.stockDecisions.confirm(events);
}
