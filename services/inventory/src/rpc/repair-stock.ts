import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import type { Logger } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { OutboxUpkeep } from "@shop/messaging";
import { type Finding, type Remedy, repairFindings } from "@shop/runtime";
import type { LedgerStore } from "../application/ports/ledger-store.ts";
import type { StockAuditStore } from "../application/ports/stock-audit-store.ts";
import type { StockAudit } from "../application/stock-audit.ts";

/** Repairs what follows from the ledger: balances and unpublished events. Never changes the ledger itself. Safe to retry. */
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
          action: "recompute the balance from the movements",
          async apply() {
            await on.audit.rederive(subject);
            await catchUp([subject]);
          },
        };
      case "STOCK_BALANCE_BEHIND":
        return { action: "apply the missing movements to the balance", apply: () => catchUp([subject]) };
      case "LEDGER_EVENT_UNPUBLISHED":
        return {
          action: "publish the events of the entry",
          async apply() {
            // An unpublished entry may not have been projected either.
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
    on.log.info({ actor: actorOf(callerOf(context)), dry_run: dryRun, repairs }, "repaired stock");
    return { repairs };
  };
}
