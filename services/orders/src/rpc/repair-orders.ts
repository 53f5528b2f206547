import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Clock, Logger } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { Outbox, OutboxUpkeep } from "@shop/messaging";
import { type Audit, type Finding, type Remedy, repairFindings } from "@shop/runtime";
import { closedEvent, placedEvent } from "../adapters/proto/events.ts";
import type { OrderAuditPosition } from "../application/order-audit.ts";
import type { DecisionStore } from "../application/ports/decision-store.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import type { Reservations } from "../application/ports/reservations.ts";
import type { StockDecisions } from "../application/stock-decisions.ts";
import { cancelUndecided } from "../application/transition-order.ts";
import { missingStep } from "../domain/order-audit.ts";

/**
 * Repairs findings by the usual means: a transition, or an event that is published again and whose effects are idempotent. A finding that
 * inventory repairs disappears when inventory has consumed the event, so it may be reported for a moment longer. Safe to retry.
 */
export function repairOrders(on: {
  readonly audit: Audit<OrderAuditPosition>;
  readonly orders: OrderStore;
  readonly reservations: Reservations;
  readonly repeat: Outbox["publishNow"];
  readonly upkeep: OutboxUpkeep;
  readonly decisions: Pick<DecisionStore, "find">;
  readonly stockDecisions: Pick<StockDecisions, "complete">;
  readonly clock: Clock;
  readonly log: Logger;
}): MethodImpl<typeof OrderService.method.repairOrders> {
  async function repeatMissingStep(orderId: string): Promise<void> {
    const order = await on.orders.findById(orderId);
    const reservation = (await on.reservations.of([orderId])).get(orderId);
    const step = order && reservation && missingStep(order.status, reservation);
    if (step !== undefined) await on.repeat([closedEvent(order!, step, on.clock())]);
  }

  async function repeatPlaced(orderId: string): Promise<void> {
    const order = await on.orders.findById(orderId);
    if (order !== undefined) await on.repeat([placedEvent(order, on.clock().getTime())]);
  }

  /** @param subject the id of an order or of a decision */
  async function publish(subject: string): Promise<void> {
    const decision = await on.decisions.find(subject);
    await (decision === undefined ? on.upkeep.republish(subject) : on.stockDecisions.complete(decision));
  }

  function remedyFor({ invariant, subject }: Finding): Remedy | undefined {
    switch (invariant) {
      case "ORDER_STUCK_PENDING":
        return { action: "cancel the order", apply: async () => void (await cancelUndecided(on, subject)) };
      case "ORDER_UNRESERVED":
        return { action: "publish OrderPlaced again", apply: () => repeatPlaced(subject) };
      case "ORDER_RESERVATION_OPEN":
        return {
          action: "publish the event that closes the reservation again",
          apply: () => repeatMissingStep(subject),
        };
      case "RESERVATION_WITHOUT_ORDER":
        return {
          action: "publish OrderCancelled for the order",
          apply: () => on.repeat([closedEvent({ orderId: subject, version: 0 }, "cancelled", on.clock())]),
        };
      case "ORDER_EVENT_UNPUBLISHED":
        return { action: "publish the events", apply: () => publish(subject) };
      default:
        return undefined;
    }
  }

  return async ({ targets, dryRun }, context) => {
    const repairs = await repairFindings({ audit: on.audit, remedyFor }, targets, dryRun);
    on.log.info({ actor: actorOf(callerOf(context)), dry_run: dryRun, repairs }, "repaired orders");
    return { repairs };
  };
}
