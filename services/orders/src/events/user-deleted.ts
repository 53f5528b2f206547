import type { UserDeleted } from "@shop/gen/shop/users/v1/events_pb";
import type { OrderStore } from "../application/ports/order-store.ts";

/** Removes deleted accounts' ids from their orders. Idempotent. */
export function userDeleted(on: { readonly orders: OrderStore }): (events: readonly UserDeleted[]) => Promise<void> {
  return async (events) => {
    await on.orders.forgetOwners(events.map(({ userId }) => userId));
  };
}
