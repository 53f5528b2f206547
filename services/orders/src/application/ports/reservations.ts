import type { Order } from "../../domain/order.ts";
import type { Reservation } from "../../domain/order-audit.ts";

/** Inventory's reservations for orders. Every method throws STOCK_UNAVAILABLE when inventory is unreachable. */
export interface Reservations {
  /** Reservations by order id; undecided orders are missing. At most 200 ids. */
  of(orderIds: readonly string[]): Promise<ReadonlyMap<string, Reservation>>;
  /** Returns the decision of each order, and decides those that are undecided. At most 200 orders. Safe to retry. */
  decide(orders: readonly Pick<Order, "orderId" | "items">[]): Promise<readonly StockDecision[]>;
  /** A page of the ids of all orders that ever had a reservation; the last page has no `next`. */
  list(pageToken: string): Promise<{ orderIds: readonly string[]; next: string | undefined }>;
}

/** Inventory's decision on an order. */
export interface StockDecision {
  readonly orderId: string;
  readonly outcome: Reservation["outcome"];
  /** Why it was refused; empty otherwise. */
  readonly reason: string;
}
