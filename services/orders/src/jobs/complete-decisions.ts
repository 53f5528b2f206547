import type { Job, Logger } from "@shop/core";
import type { DecisionStore } from "../application/ports/decision-store.ts";
import type { StockDecisions } from "../application/stock-decisions.ts";

const intervalMs = 1_000;
/** A decision has up to a thousand orders. */
const maxDecisions = 128;

/** Completes decisions that a crash or an outage of the bus left unfinished. Those younger than `afterMs` are left to their process. */
export function completeDecisions(on: {
  readonly decisions: Pick<DecisionStore, "listUnfinished">;
  readonly stockDecisions: Pick<StockDecisions, "complete">;
  readonly afterMs: number;
  readonly log: Logger;
}): Omit<Job, "lease"> {
  return {
    name: "complete-decisions",
    intervalMs,
    async run() {
      const unfinished = await on.decisions.listUnfinished(new Date(Date.now() - on.afterMs), maxDecisions);
      if (unfinished.length === 0) return;
      await Promise.all(unfinished.map((decision) => on.stockDecisions.complete(decision)));
      on.log.info({ decisions: unfinished.length }, "completed unfinished decisions");
    },
  };
}
