import type { Clock } from "@shop/core";
import type { OrderPlaced } from "@shop/gen/shop/orders/v1/events_pb";
import type { Outbox } from "@shop/messaging";
import { decisionEvents } from "../adapters/proto/events.ts";
import type { DecideOrders } from "../application/decide-orders.ts";

/** Reserves stock for orders and publishes the decisions. Publishes again those of orders that were decided before. Idempotent. */
export function orderPlaced(on: {
  readonly decide: DecideOrders;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
}): (events: readonly OrderPlaced[], ids: readonly string[]) => Promise<void> {
  return async (events, ids) => {
    const placed = events.map(({ orderId, lines }, index) => ({ orderId, lines, placedEventId: ids[index]! }));
    const { before } = await on.decide(placed);
    const placedEventIds = new Map(placed.map(({ orderId, placedEventId }) => [orderId, placedEventId]));
    const now = on.clock();
    await on.repeat(
      before.flatMap((decision) =>
        decisionEvents(decision, placedEventIds.get(decision.orderId) ?? "", now, now.getTime()),
      ),
    );
  };
}
