import type { OrderPlaced } from "@shop/gen/shop/orders/v1/events_pb";
import type { Clock, Outbox } from "@shop/platform";
import type { DecideOrders } from "../decide-orders.ts";
import { decisionEvents } from "../wire/events.ts";

/** Sets stock aside for orders, and tells; of what was decided before, it tells again. */
export function orderPlaced(on: {
  readonly decide: DecideOrders;
  readonly repeat: Outbox["publishNow"];
  readonly clock: Clock;
}): (events: readonly OrderPlaced[]) => Promise<void> {
  return async (events) => {
    const { before } = await on.decide(events);
    const now = on.clock();
    await on.repeat(before.flatMap((decision) => decisionEvents(decision, now, now.getTime())));
  };
}
