import { type Clock, currentTraceId } from "@shop/platform";
import type { OrderMove } from "./domain/order.ts";
import type { DecisionStore } from "./store/decision-store.ts";
import { moveEvent } from "./wire/events.ts";

/** An order that the stock has decided. */
interface Decided {
  readonly orderId: string;
  /** The OrderPlaced that the stock has answered, which therefore was published; empty after a call. */
  readonly placedEventId?: string;
}

/** Moves orders as their stock was decided. Idempotent: an order that is no longer pending stays as it is. */
export interface FollowStock {
  /** Their stock is set aside. */
  confirm(decided: readonly Decided[]): Promise<void>;
  /** Their stock did not suffice. */
  reject(refusals: readonly (Decided & { readonly reason: string })[]): Promise<void>;
}

export function createFollowStock(on: {
  readonly decisions: Pick<DecisionStore, "findPending" | "decide">;
  readonly clock: Clock;
}): FollowStock {
  async function moveTo(status: OrderMove["status"], reason: string, decided: readonly Decided[]): Promise<void> {
    const pending = await on.decisions.findPending(decided.map(({ orderId }) => orderId));
    const move = { status, time: on.clock(), actor: "inventory", reason, traceId: currentTraceId() ?? "" };
    const placedEventIds = decided.map(({ placedEventId = "" }) => placedEventId).filter((id) => id !== "");
    await on.decisions.decide(
      move,
      pending.map((order) => moveEvent(order, move)),
      placedEventIds,
    );
  }

  return {
    confirm: (decided) => moveTo("confirmed", "", decided),
    async reject(refusals) {
      const byReason = Map.groupBy(refusals, ({ reason }) => reason);
      await Promise.all([...byReason].map(([reason, refused]) => moveTo("rejected", reason, refused)));
    },
  };
}
