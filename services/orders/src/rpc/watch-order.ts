import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { WatchFor } from "@shop/runtime";
import { toOrderEvent, toOrderMessage } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { readOrder } from "../application/read-order.ts";
import { afterTransition, isFinal } from "../domain/order.ts";

/** Streams an order's transitions as they happen. Safe to retry with the last version received: no transition is missed or repeated. */
export function watchOrder(on: {
  readonly orders: OrderStore;
  readonly watch: WatchFor;
}): MethodImpl<typeof OrderService.method.watchOrder> {
  return async function* ({ orderId, afterVersion }, context) {
    // Owner and items never change, so each turn reads the transitions only.
    const caller = callerOf(context);
    const order = await readOrder(on, orderId, caller);
    let sent = afterVersion;
    for await (const turn of on.watch(orderId, context)) {
      const transitions = turn === "idle" ? [] : await on.orders.findTransitions(orderId);
      const news = sent === 0 ? transitions.slice(-1) : transitions.slice(sent);
      if (news.length === 0 && turn !== "changed") yield {};
      let version = transitions.length - news.length;
      for (const transition of news) {
        sent = ++version;
        yield {
          order: toOrderMessage(afterTransition(order, transition, version)),
          event: toOrderEvent(transition, version, caller),
        };
      }
      if (transitions.length > 0 && isFinal(transitions.at(-1)!.status)) return;
    }
  };
}
