import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toDecisionMessage } from "../adapters/proto/reservation.ts";
import type { DecideOrders } from "../application/decide-orders.ts";

/** Decides orders as OrderPlaced does, and returns the decisions. Safe to retry. */
export function decideOrders(on: {
  readonly decide: DecideOrders;
}): MethodImpl<typeof InventoryService.method.decideOrders> {
  return async ({ orders }) => {
    const { before, now } = await on.decide(orders);
    const decided = new Map([...before, ...now].map((decision) => [decision.orderId, decision]));
    const inSequence = [...new Set(orders.map(({ orderId }) => orderId))].map((orderId) => decided.get(orderId)!);
    return { decisions: inSequence.map(toDecisionMessage) };
  };
}
