import type { Clock, Logger } from "@shop/core";
import type { Outbox } from "@shop/messaging";
import type { Reservations } from "../adapters/clients/reservations.ts";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { closedEvent } from "../adapters/proto/events.ts";
import type { Order } from "../domain/order.ts";
import { type MissingStep, missingStep, type Reservation } from "../domain/order-audit.ts";

/** As long as the stream keeps an event: what the stock had not heard by then was lost before. */
const keptMs = 7 * 24 * 60 * 60 * 1000;
/** As many as the stock tells of in one call. */
const ordersAtOnce = 200;

/**
 * Compares what became of orders with what the stock did for them, the last orders first, and publishes again what it has not
 * done: for a stream that was lost with the events it had taken. Safe to repeat; an event that was merely on its way comes twice.
 */
export function recoverClosings(on: {
  readonly orders: Pick<OrderStore, "closedSince">;
  readonly reservations: Pick<Reservations, "of">;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
  readonly log: Logger;
}): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    for await (const closed of on.orders.closedSince(new Date(on.clock().getTime() - keptMs), ordersAtOnce)) {
      signal.throwIfAborted();
      const stock = await on.reservations.of(closed.map(({ orderId }) => orderId));
      const now = on.clock();
      const events = closed.flatMap((order) => {
        const step = stepOwed(order, stock.get(order.orderId));
        return step === undefined ? [] : [closedEvent(order, step, now)];
      });
      if (events.length === 0) continue;
      on.log.warn({ orders: events.length }, "the stock has not followed these orders, telling it again");
      await on.repeat(events);
    }
  };
}

function stepOwed({ status }: Order, reservation: Reservation | undefined): MissingStep | undefined {
  if (reservation !== undefined)
    return reservation.outcome === "reserved" ? missingStep(status, reservation) : undefined;
  // The stock has not heard of it: a late OrderPlaced would set stock aside for an order that is cancelled.
  return status === "cancelled" ? "cancelled" : undefined;
}
