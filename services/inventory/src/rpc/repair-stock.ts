import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Logger } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { OutboxUpkeep } from "@shop/messaging";
import { type Finding, type Remedy, repairFindings } from "@shop/runtime";
import type { LedgerStore } from "../adapters/mongo/ledger-store.ts";
import type { StockAuditStore } from "../adapters/mongo/stock-audit-store.ts";
import type { StockAudit } from "../application/stock-audit.ts";

/** Mends what follows from the ledger: balances, and events that did not leave. The ledger itself is never touched. Safe to retry. */
export function repairStock(on: {
  readonly audit: StockAudit;
  readonly ledger: LedgerStore;
  readonly store: StockAuditStore;
  readonly upkeep: OutboxUpkeep;
  readonly log: Logger;
}): MethodImpl<typeof InventoryService.method.repairStock> {
  const catchUp = (productIds: readonly string[]) => on.ledger.catchUp([...new Set(productIds)]);

  function remedyFor({ invariant, subject }: Finding): Remedy | undefined {
    switch (invariant) {
      case "STOCK_BALANCE_WRONG":
        return {
          action: "write the balance anew from the movements",
          async apply() {
            await on.audit.rederive(subject);
            await catchUp([subject]);
          },
        };
      case "STOCK_BALANCE_BEHIND":
        return { action: "bring the balance up to the last movement", apply: () => catchUp([subject]) };
      case "LEDGER_EVENT_UNPUBLISHED":
        return {
          action: "publish the events of the entry",
          async apply() {
            // An entry that was not published may not have been projected either.
            const entry = await on.store.findEntry(subject);
            await catchUp(entry?.moves.map(({ productId }) => productId) ?? []);
            await on.upkeep.republish(subject);
          },
        };
      default:
        return undefined;
    }
  }

  return async ({ targets, dryRun }, context) => {
    const repairs = await repairFindings({ audit: on.audit, remedyFor }, targets, dryRun);
    on.log.info({ actor: actorOf(callerOf(context)), dry_run: dryRun, repairs }, "stock was to be repaired");
    return { repairs };
  };
}
