import type { Clock, Logger } from "@shop/core";
import type { Outbox } from "@shop/messaging";
import { closedEvent } from "../adapters/proto/events.ts";
import type { Order } from "../domain/order.ts";
import { type MissingStep, missingStep, type Reservation } from "../domain/order-audit.ts";
import type { OrderStore } from "./ports/order-store.ts";
import type { Reservations } from "./ports/reservations.ts";

/** The stream's retention: an older event would have been lost without the loss of the stream, too. */
const retentionMs = 7 * 24 * 60 * 60 * 1000;
/** The maximum of BatchGetReservations. */
const ordersPerCall = 200;

/**
 * Compares closed orders with inventory's reservations, newest first, and publishes again the events that inventory has not followed:
 * for a stream that was lost with the events in it. Safe to repeat; an event that inventory was about to consume arrives twice.
 */
export function recoverClosings(on: {
  readonly orders: Pick<OrderStore, "closedSince">;
  readonly reservations: Pick<Reservations, "of">;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
  readonly log: Logger;
}): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    for await (const closed of on.orders.closedSince(new Date(on.clock().getTime() - retentionMs), ordersPerCall)) {
      signal.throwIfAborted();
      const stock = await on.reservations.of(closed.map(({ orderId }) => orderId));
      const now = on.clock();
      const events = closed.flatMap((order) => {
        const step = stepToRepeat(order, stock.get(order.orderId));
        return step === undefined ? [] : [closedEvent(order, step, now)];
      });
      if (events.length === 0) continue;
      on.log.warn(
        { orders: events.length },
        "inventory has not closed these orders' reservations: publishing the events again",
      );
      await on.repeat(events);
    }
  };
}

function stepToRepeat({ status }: Order, reservation: Reservation | undefined): MissingStep | undefined {
  if (reservation !== undefined)
    return reservation.outcome === "reserved" ? missingStep(status, reservation) : undefined;
  // Inventory has no decision: without OrderCancelled a late OrderPlaced would reserve stock for a cancelled order.
  return status === "cancelled" ? "cancelled" : undefined;
}
