import type { Job, Logger } from "@shop/core";
import type { DecisionStore } from "../adapters/mongo/decision-store.ts";
import type { FollowStock } from "../application/follow-stock.ts";

const intervalMs = 1_000;
/** Each is of up to a thousand orders. */
const maxDecisions = 128;

/** Completes the decisions that a crash, or an absent bus, left behind; those younger than `afterMs` are left to their process. */
export function completeDecisions(on: {
  readonly decisions: Pick<DecisionStore, "listLeft">;
  readonly followStock: Pick<FollowStock, "complete">;
  readonly afterMs: number;
  readonly log: Logger;
}): Omit<Job, "lease"> {
  return {
    name: "complete-decisions",
    intervalMs,
    async run() {
      const left = await on.decisions.listLeft(new Date(Date.now() - on.afterMs), maxDecisions);
      if (left.length === 0) return;
      await Promise.all(left.map((decision) => on.followStock.complete(decision)));
      on.log.info({ decisions: left.length }, "decisions that were left behind are completed");
    },
  };
}
