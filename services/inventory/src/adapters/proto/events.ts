import {
  StockAdjustedSchema,
  StockRejectedSchema,
  StockReleasedSchema,
  StockReservedSchema,
  StockReturnedSchema,
  StockShippedSchema,
} from "@shop/gen/shop/inventory/v1/events_pb";
import { type PendingEvent, pendingEvent } from "@shop/messaging";
import type { Closing, Decision, Move } from "../../domain/ledger.ts";

const service = "inventory";
/** An order's stock is decided once, closed once, and may return once: the versions of that aggregate. */
const decided = 1;
const closed = 2;
const returned = 3;

/**
 * Tells what was decided for an order, and which OrderPlaced that answers, if it was one; nothing when it was called off
 * before. `n` makes a repetition an event of its own.
 */
export function decisionEvents(
  { orderId, outcome, reason = "" }: Decision,
  placedEventId: string,
  time: Date,
  n = 0,
): PendingEvent[] {
  const about = { service, aggregateId: orderId, version: decided, n, time };
  switch (outcome) {
    case "reserved":
      return [pendingEvent(StockReservedSchema, { orderId, placedEventId }, about)];
    case "refused":
      return [pendingEvent(StockRejectedSchema, { orderId, reason, placedEventId }, about)];
    case "void":
      return [];
  }
}

/** Tells what became of what was set aside. */
export function closingEvent({ orderId, outcome }: Closing, time: Date): PendingEvent {
  const about = { service, aggregateId: orderId, time };
  switch (outcome) {
    case "released":
      return pendingEvent(StockReleasedSchema, { orderId }, { ...about, version: closed });
    case "shipped":
      return pendingEvent(StockShippedSchema, { orderId }, { ...about, version: closed });
    case "returned":
      return pendingEvent(StockReturnedSchema, { orderId }, { ...about, version: returned });
  }
}

/** Tells of a correction. A product's places in the ledger are its versions. */
export function adjustedEvent({ productId, sequence, onHandDelta }: Move, time: Date): PendingEvent {
  const about = { service, aggregateId: productId, version: sequence, time };
  return pendingEvent(StockAdjustedSchema, { productId, onHandDelta }, about);
}
