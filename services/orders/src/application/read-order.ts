import { isAdmin, type Principal } from "@shop/auth";
import { orderNotFound } from "../domain/errors.ts";
import type { Order } from "../domain/order.ts";
import type { OrderStore } from "./ports/order-store.ts";

/** Reads an order for its owner or an administrator. Throws ORDER_NOT_FOUND, also for another user's order. */
export async function readOrder(
  on: { readonly orders: OrderStore },
  orderId: string,
  caller: Principal,
): Promise<Order> {
  const order = await on.orders.findById(orderId);
  const mayRead = isAdmin(caller) || (caller.kind === "user" && caller.userId === order?.userId);
  if (order === undefined || !mayRead) throw orderNotFound(orderId);
  return order;
}
