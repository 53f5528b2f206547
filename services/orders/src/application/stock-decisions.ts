import { type Clock, currentTraceId, type Logger } from "@shop/core";
import { batched, isDependencyLost, type Outbox } from "@shop/messaging";
import { placedEventId, placedType, transitionEvent } from "../adapters/proto/events.ts";
import type { Order, OrderTransition } from "../domain/order.ts";
import type { Decision, DecisionStore } from "./ports/decision-store.ts";
import type { RecentOrders } from "./ports/recent-orders.ts";

/** An order that inventory has decided. */
interface Decided {
  readonly orderId: string;
  /** The id of the OrderPlaced that led to the decision, which therefore was published; absent after DecideOrders. */
  readonly placedEventId?: string;
}

/** Applies inventory's decisions to orders. Idempotent: an order that is no longer pending is left unchanged. */
export interface StockDecisions {
  confirm(decided: readonly Decided[]): Promise<void>;
  reject(refusals: readonly (Decided & { readonly reason: string })[]): Promise<void>;
  /** Completes an unfinished decision from whichever step it reached. Throws when it can't; safe to repeat. */
  complete(decision: Decision): Promise<void>;
  /** Resolves when all events are published that confirm and reject publish in the background. */
  close(): Promise<void>;
}

/**
 * Orders that were decided together change by one statement, and their events are published in one message. The decision is one
 * document, committed before the orders change and deleted after their events are published:
 *
 * 1. insert the decision, 2. change its orders that are still pending, 3. publish an event for each order that it changed,
 * 4. delete it.
 *
 * `confirm` and `reject` return after step 2; 3 and 4 go on in the background. After a crash the job complete-decisions repeats the
 * steps from 2. One decision at most changes an order, and the time in the order's history identifies it; so each change gets an event
 * that agrees with the history. The event may be published twice.
 */
export function createStockDecisions(on: {
  readonly decisions: Pick<DecisionStore, "insert" | "apply" | "findApplied" | "remove">;
  readonly recent: Pick<RecentOrders, "take">;
  readonly publish: Outbox["publishNow"];
  /** Measures the time from placing an order to its decision. */
  readonly decidedAfter: (seconds: number) => void;
  readonly clock: Clock;
  readonly log: Logger;
}): StockDecisions {
  const { decisions, recent, publish } = on;
  const finishing = new Set<Promise<void>>();

  function decisionsOf(status: OrderTransition["status"], reason: string, decided: readonly Decided[]) {
    const transition = { status, time: on.clock(), actor: "inventory", reason, traceId: currentTraceId() ?? "" };
    const byPublished = Map.groupBy(decided, ({ orderId, placedEventId: id }) => id === placedEventId(orderId));
    return [...byPublished].map(([isPublished, group]) => ({
      orderIds: [...new Set(group.map(({ orderId }) => orderId))],
      transition,
      publishedTypes: isPublished ? [placedType] : [],
    }));
  }

  async function applyAll(wanted: ReturnType<typeof decisionsOf>): Promise<void> {
    if (wanted.length === 0) return;
    await Promise.all(
      (await decisions.insert(wanted)).map(async (decision) => {
        const changed = await decisions.apply(decision);
        const orders = recent.take(decision.orderIds);
        finishInBackground(decision, changed === decision.orderIds.length ? orders : undefined);
      }),
    );
  }

  function finishInBackground(decision: Decision, changed: readonly Order[] | undefined): void {
    const finished = finish(decision, changed)
      .catch((error) => {
        const level = isDependencyLost(error) ? "debug" : "error";
        on.log[level]({ err: error }, "a decision is left to the job complete-decisions");
      })
      .finally(() => finishing.delete(finished));
    finishing.add(finished);
  }

  /** @param changed the orders that the decision changed, when they are known without a read */
  async function finish(decision: Decision, changed?: readonly Order[]): Promise<void> {
    // Otherwise some were not pending: cancelled, or changed by another process, perhaps by this decision while this process hung.
    const orders = changed ?? (await decisions.findApplied(decision));
    for (const { createTime } of orders) on.decidedAfter(secondsBetween(createTime, decision.transition.time));
    await publish(batched(orders.map((order) => transitionEvent(order, decision.transition))));
    await decisions.remove(decision.decisionId);
  }

  return {
    confirm: (decided) => applyAll(decisionsOf("confirmed", "", decided)),
    reject: (refusals) =>
      applyAll(
        [...Map.groupBy(refusals, ({ reason }) => reason)].flatMap(([reason, refused]) =>
          decisionsOf("rejected", reason, refused),
        ),
      ),
    async complete(decision) {
      await decisions.apply(decision);
      await finish(decision);
    },
    async close() {
      await Promise.all(finishing);
    },
  };
}

/** For the metric of the time to a decision, also by the job that cancels undecided orders. */
export function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1_000;
}
