import { type Clock, currentTraceId, type Logger } from "@shop/core";
import { batched, isDependencyLost, type Outbox } from "@shop/messaging";
import type { Decision, DecisionStore } from "../adapters/mongo/decision-store.ts";
import type { RecentOrders } from "../adapters/mongo/recent-orders.ts";
import { moveEvent, placedEventId, placedType } from "../adapters/proto/events.ts";
import type { Order, OrderMove } from "../domain/order.ts";

/** An order that the stock has decided. */
interface Decided {
  readonly orderId: string;
  /** The OrderPlaced that the stock has answered, which therefore was published; empty after a call. */
  readonly placedEventId?: string;
}

/** Changes orders as their stock was decided. Idempotent: an order that is no longer pending stays as it is. */
export interface FollowStock {
  /** Their stock is set aside. */
  confirm(decided: readonly Decided[]): Promise<void>;
  /** Their stock did not suffice. */
  reject(refusals: readonly (Decided & { readonly reason: string })[]): Promise<void>;
  /** Completes a decision that was left behind, at whichever step. Rejects when it can't; safe to repeat. */
  complete(decision: Decision): Promise<void>;
  /** Resolves when nothing is being published any more. */
  close(): Promise<void>;
}

/**
 * Orders that were decided together change by one statement, and their events are published by one message. What stands for them
 * in between is the decision, one document, which is committed first and deleted last:
 *
 * 1. insert the decision, 2. change its orders that are still pending, 3. publish an event of each order that it has changed,
 * 4. delete it.
 *
 * Wherever that ends, the sweeper repeats it from 2. An order is changed by one decision only, which its history tells by the
 * time of the change; so an event is published for each change, and says what the history says. It may be published twice.
 */
export function createFollowStock(on: {
  readonly decisions: Pick<DecisionStore, "insert" | "apply" | "findApplied" | "remove">;
  readonly recent: Pick<RecentOrders, "take">;
  readonly publish: Outbox["publishNow"];
  readonly clock: Clock;
  readonly log: Logger;
}): FollowStock {
  const { decisions, recent, publish } = on;
  const finishing = new Set<Promise<void>>();

  function decisionsOf(status: OrderMove["status"], reason: string, decided: readonly Decided[]) {
    const move = { status, time: on.clock(), actor: "inventory", reason, traceId: currentTraceId() ?? "" };
    const byPublished = Map.groupBy(decided, ({ orderId, placedEventId: id }) => id === placedEventId(orderId));
    return [...byPublished].map(([isPublished, some]) => ({
      orderIds: [...new Set(some.map(({ orderId }) => orderId))],
      move,
      publishedTypes: isPublished ? [placedType] : [],
    }));
  }

  async function follow(wanted: ReturnType<typeof decisionsOf>): Promise<void> {
    if (wanted.length === 0) return;
    await Promise.all(
      (await decisions.insert(wanted)).map(async (decision) => {
        const changed = await decisions.apply(decision);
        const orders = recent.take(decision.orderIds);
        finishSoon(decision, changed === decision.orderIds.length ? orders : undefined);
      }),
    );
  }

  function finishSoon(decision: Decision, changed: readonly Order[] | undefined): void {
    const finished = finish(decision, changed)
      .catch((error) => {
        const level = isDependencyLost(error) ? "debug" : "error";
        on.log[level]({ err: error }, "a decision stays for the sweeper");
      })
      .finally(() => finishing.delete(finished));
    finishing.add(finished);
  }

  /** `changed`: the orders that it has changed, where they are known. */
  async function finish(decision: Decision, changed?: readonly Order[]): Promise<void> {
    // Some had changed before: cancelled, or decided by another process, or by this decision while this process hung.
    const orders = changed ?? (await decisions.findApplied(decision));
    await publish(batched(orders.map((order) => moveEvent(order, decision.move))));
    await decisions.remove(decision.decisionId);
  }

  return {
    confirm: (decided) => follow(decisionsOf("confirmed", "", decided)),
    reject: (refusals) =>
      follow(
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
