import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { WatchFor } from "@shop/runtime";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { toOrderEvent, toOrderMessage } from "../adapters/proto/order.ts";
import { readOrder } from "../application/read-order.ts";
import { asMoved, isFinal } from "../domain/order.ts";

/** Sends an order's moves as they happen. Safe to retry: from the last version that came, nothing is missed or repeated. */
export function watchOrder(on: {
  readonly orders: OrderStore;
  readonly watch: WatchFor;
}): MethodImpl<typeof OrderService.method.watchOrder> {
  return async function* ({ orderId, afterVersion }, context) {
    // Whose it is and what was bought never changes; the moves are read anew in every turn.
    const caller = callerOf(context);
    const order = await readOrder(on, orderId, caller);
    let sent = afterVersion;
    for await (const turn of on.watch(orderId, context)) {
      const moves = turn === "quiet" ? [] : await on.orders.findMoves(orderId);
      const news = sent === 0 ? moves.slice(-1) : moves.slice(sent);
      if (news.length === 0 && turn !== "changed") yield {};
      let version = moves.length - news.length;
      for (const move of news) {
        sent = ++version;
        yield { order: toOrderMessage(asMoved(order, move, version)), event: toOrderEvent(move, version, caller) };
      }
      if (moves.length > 0 && isFinal(moves.at(-1)!.status)) return;
    }
  };
}
