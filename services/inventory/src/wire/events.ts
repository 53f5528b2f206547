import {
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
  StockShippedSchema,
} from "@shop/gen/shop/inventory/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/platform";
import type { Closing, Decision } from "../domain/ledger.ts";

const service = "inventory";
/** An order's stock is decided once, then closed once: the two versions of that aggregate. */
const decided = 1;
const closed = 2;

/** Tells what was decided for an order; nothing when it was called off before. `n` makes a repetition an event of its own. */
export function decisionEvents({ orderId, outcome, reason = "" }: Decision, time: Date, n = 0): PendingEvent[] {
  const about = { service, aggregateId: orderId, version: decided, n, time };
  switch (outcome) {
    case "reserved":
      return [pendingEvent(StockReservedSchema, { orderId }, about)];
    case "refused":
      return [pendingEvent(StockRejectedSchema, { orderId, reason }, about)];
    case "void":
      return [];
  }
}

/** Tells how a reservation ended. */
export function closingEvent({ orderId, outcome }: Closing, time: Date): PendingEvent {
  const about = { service, aggregateId: orderId, version: closed, time };
  return outcome === "released"
    ? pendingEvent(StockReleasedSchema, { orderId }, about)
    : pendingEvent(StockShippedSchema, { orderId }, about);
}
