import type { UserDeleted } from "@shop/gen/shop/users/v1/events_pb";
import type { OrderStore } from "../adapters/mongo/order-store.ts";

/** Makes the orders of accounts that are gone nobody's. Idempotent: those that are so already are no user's. */
export function userDeleted(on: { readonly orders: OrderStore }): (events: readonly UserDeleted[]) => Promise<void> {
  return async (events) => {
    await on.orders.forgetOwners(events.map(({ userId }) => userId));
  };
}
