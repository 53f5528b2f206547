import type { Client } from "@connectrpc/connect";
import {
  type InventoryService,
  type Reservation as ReservationOnTheWire,
  ReservationOutcome,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Reservations } from "../../application/ports/reservations.ts";
import { stockUnavailable } from "../../domain/errors.ts";
import type { Reservation } from "../../domain/order-audit.ts";
import { callInventory } from "./call-inventory.ts";

/** Describes the reads in error messages. */
const what = "to return reservations";

const outcomes: Readonly<Partial<Record<ReservationOutcome, Reservation["outcome"]>>> = {
  [ReservationOutcome.RESERVED]: "reserved",
  [ReservationOutcome.REFUSED]: "refused",
  [ReservationOutcome.VOID]: "void",
};

export function createReservations(inventory: Client<typeof InventoryService>): Reservations {
  return {
    async of(orderIds) {
      if (orderIds.length === 0) return new Map();
      const { reservations } = await callInventory(
        inventory.batchGetReservations({ orderIds: [...orderIds] }),
        what,
        stockUnavailable,
      );
      return new Map(reservations.map((reservation) => [reservation.orderId, fromMessage(reservation)]));
    },
    async decide(orders) {
      const { decisions } = await callInventory(
        inventory.decideOrders({
          orders: orders.map(({ orderId, items }) => ({
            orderId,
            lines: items.map(({ productId, quantity }) => ({ productId, quantity })),
          })),
        }),
        "to decide orders",
        stockUnavailable,
      );
      return decisions.map(({ orderId, outcome, reason }) => ({ orderId, outcome: knownOutcome(outcome), reason }));
    },
    async list(pageToken) {
      const { orderIds, nextPageToken } = await callInventory(
        inventory.listReservations({ pageToken }),
        what,
        stockUnavailable,
      );
      return { orderIds, next: nextPageToken || undefined };
    },
  };
}

function fromMessage({ orderId, outcome, lines, released, shipped, returned }: ReservationOnTheWire): Reservation {
  return {
    orderId,
    outcome: knownOutcome(outcome),
    lines: lines.map(({ productId, quantity }) => ({ productId, quantity })),
    released,
    shipped,
    returned,
  };
}

function knownOutcome(outcome: ReservationOutcome): Reservation["outcome"] {
  const known = outcomes[outcome];
  if (known === undefined) throw new RangeError(`${outcome} is not an outcome`);
  return known;
}
