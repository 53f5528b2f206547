import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import { type Clock, retryOnConflict } from "@shop/core";
import type { AdjustStockRequest, InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { requestIdReused } from "@shop/rpc-server";
import { adjustedEvent } from "../adapters/proto/events.ts";
import { toStockMessage } from "../adapters/proto/stock.ts";
import type { LedgerStore } from "../application/ports/ledger-store.ts";
import type { ProductStore } from "../application/ports/product-store.ts";
import { productNotFound, stockOutOfBounds } from "../domain/errors.ts";
import { adjust } from "../domain/ledger.ts";

/** Corrects the units on hand. Safe to retry with a request_id, which the ledger's entry claims by its unique keys. */
export function adjustStock(on: {
  readonly ledger: LedgerStore;
  readonly products: ProductStore;
  readonly clock: Clock;
}): MethodImpl<typeof InventoryService.method.adjustStock> {
  /** Catches up first: the writer of the last movement may not have projected it yet. */
  async function stockNow(productId: string) {
    await on.ledger.catchUp([productId]);
    const balance = (await on.products.balancesOf([productId], "all")).get(productId);
    if (balance === undefined) throw productNotFound(productId);
    return toStockMessage(productId, balance);
  }

  /** Returns when the adjustment is in the ledger, by this call or an earlier one. */
  async function makeAdjustment(
    { productId, onHandDelta, reason, requestId }: AdjustStockRequest,
    actor: string,
  ): Promise<void> {
    await retryOnConflict(async () => {
      const balances = await on.products.balancesOf([productId], "catalogue");
      const balance = balances.get(productId);
      if (balance === undefined) throw productNotFound(productId);

      const made = requestId && (await on.ledger.findAdjustment(productId, requestId));
      if (made === onHandDelta) return true;
      if (requestId && made !== undefined) throw requestIdReused(requestId);

      const plan = adjust(balances, productId, onHandDelta);
      if (plan === undefined) throw stockOutOfBounds(productId, balance);
      const time = on.clock();
      const isFirst = await on.ledger.append({
        kind: "adjusted",
        plan,
        events: plan.moves.map((move) => adjustedEvent(move, time)),
        actor,
        reason,
        ...(requestId && { requestId }),
        time,
      });
      if (isFirst) return true;
      // Another entry moved the product, or made the same adjustment, first.
      await on.ledger.catchUp([productId]);
      return undefined;
    });
  }

  return async (request, context) => {
    await on.ledger.inTurn(() => makeAdjustment(request, actorOf(callerOf(context))));
    return { stock: await stockNow(request.productId) };
  };
}
