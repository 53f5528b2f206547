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
/** Versions of an order's reservation: it is decided once, closed once, and may be returned once. */
const decided = 1;
const closed = 2;
const returned = 3;

/**
 * The event of a decision; none for a void one. `placedEventId` is the OrderPlaced that led to it, or empty. Another `n` gives a repetition
 * its own event id, so that the stream does not drop it as a duplicate.
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

/** The event of an adjustment. Its version is the movement's number. */
export function adjustedEvent({ productId, sequence, onHandDelta }: Move, time: Date): PendingEvent {
  const about = { service, aggregateId: productId, version: sequence, time };
  return pendingEvent(StockAdjustedSchema, { productId, onHandDelta }, about);
}
