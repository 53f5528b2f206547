import type { MethodImpl } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { toReservationMessage } from "../adapters/proto/reservation.ts";
import type { StockAuditStore } from "../application/ports/stock-audit-store.ts";

/** Reads the decisions and closings of orders from the ledger. Safe to retry. */
export function batchGetReservations(on: {
  readonly store: StockAuditStore;
}): MethodImpl<typeof InventoryService.method.batchGetReservations> {
  return async ({ orderIds }) => ({
    reservations: [...(await on.store.reservationsOf(orderIds)).values()].map(toReservationMessage),
  });
}
