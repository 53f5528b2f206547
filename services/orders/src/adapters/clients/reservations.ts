import type { Client } from "@connectrpc/connect";
import {
  type InventoryService,
  type Reservation as ReservationOnTheWire,
  ReservationOutcome,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { stockUnavailable } from "../../domain/errors.ts";
import type { Order } from "../../domain/order.ts";
import type { Reservation } from "../../domain/order-audit.ts";
import { askInventory } from "./ask-inventory.ts";

/** What the stock did for orders, as orders see it. Everything throws STOCK_UNAVAILABLE. */
export interface Reservations {
  /** By order; those that were not decided are missing. At most 200 at once. */
  of(orderIds: readonly string[]): Promise<ReadonlyMap<string, Reservation>>;
  /** What is decided for orders that wait; what was not decided is decided then. At most 200 at once. */
  decide(orders: readonly Pick<Order, "orderId" | "items">[]): Promise<readonly StockDecision[]>;
  /** A page of the orders that stock was ever set aside for; the last has no `next`. */
  list(pageToken: string): Promise<{ orderIds: readonly string[]; next: string | undefined }>;
}

/** What the stock has decided for an order. */
export interface StockDecision {
  readonly orderId: string;
  readonly outcome: Reservation["outcome"];
  /** Why it was refused. */
  readonly reason: string;
}

/** What inventory is asked for, in an error. */
const what = "to tell its reservations";

const outcomes: Readonly<Partial<Record<ReservationOutcome, Reservation["outcome"]>>> = {
  [ReservationOutcome.RESERVED]: "reserved",
  [ReservationOutcome.REFUSED]: "refused",
  [ReservationOutcome.VOID]: "void",
};

export function createReservations(inventory: Client<typeof InventoryService>): Reservations {
  return {
    async of(orderIds) {
      if (orderIds.length === 0) return new Map();
      const { reservations } = await askInventory(
        inventory.batchGetReservations({ orderIds: [...orderIds] }),
        what,
        stockUnavailable,
      );
      return new Map(reservations.map((reservation) => [reservation.orderId, fromMessage(reservation)]));
    },
    async decide(orders) {
      const { decisions } = await askInventory(
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
      const { orderIds, nextPageToken } = await askInventory(
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
