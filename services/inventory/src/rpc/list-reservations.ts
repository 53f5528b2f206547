import type { MethodImpl } from "@connectrpc/connect";
import type { PageTokens } from "@shop/core";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { StockAuditStore } from "../application/ports/stock-audit-store.ts";

/** An entry has up to 1,000 orders. */
const entriesPerPage = 5;

/** Lists all orders that ever had a reservation. Safe to retry. */
export function listReservations(on: {
  readonly store: StockAuditStore;
  readonly pageTokens: PageTokens;
}): MethodImpl<typeof InventoryService.method.listReservations> {
  return async ({ pageToken }) => {
    const query = ["ListReservations"];
    const after = pageToken === "" ? undefined : on.pageTokens.open<string>(pageToken, query);
    const { entries, isLast } = await on.store.listEntries(after, entriesPerPage);
    const reserved = entries.flatMap(({ decisions }) => decisions).filter(({ outcome }) => outcome === "reserved");
    return {
      orderIds: reserved.map(({ orderId }) => orderId),
      nextPageToken: isLast ? "" : on.pageTokens.seal(entries.at(-1)!.entryId, query),
    };
  };
}
