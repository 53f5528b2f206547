import type { Order } from "../../domain/order.ts";

/** Undecided orders that this process placed, so that publishing their decision does not read them from the database. */
export interface RecentOrders {
  add(order: Order): void;
  /** Removes the orders and returns them in the order of the ids; undefined when any of them is missing. */
  take(orderIds: readonly string[]): Order[] | undefined;
}
