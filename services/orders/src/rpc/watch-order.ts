import type { MethodImpl } from "@connectrpc/connect";
import { callerOf } from "@shop/auth";
import { createBatchedRead } from "@shop/core";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import type { WatchFor } from "@shop/runtime";
import { toOrderEvent, toOrderMessage } from "../adapters/proto/order.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { readOrder } from "../application/read-order.ts";
import { afterTransition, isFinal } from "../domain/order.ts";

/** Orders whose transitions are read in one query. */
const maxOrders = 500;

/** Streams an order's transitions as they happen. Safe to retry with the last version received: no transition is missed or repeated. */
export function watchOrder(on: {
  readonly orders: OrderStore;
  readonly watch: WatchFor;
}): MethodImpl<typeof OrderService.method.watchOrder> {
  // A batch of events wakes the watches of many orders at once.
  const transitionsOf = createBatchedRead({
    name: "read together transitions",
    maxKeys: maxOrders,
    read: on.orders.findTransitions,
  });
  return async function* ({ orderId, afterVersion }, context) {
    // Owner and items never change, so each turn reads the transitions only.
    const caller = callerOf(context);
    const order = await readOrder(on, orderId, caller);
    let sent = afterVersion;
    const watch = on.watch(orderId, context);
    for await (const turn of watch) {
      const transitions = turn === "idle" ? [] : ((await transitionsOf(orderId)) ?? []);
      if (turn !== "idle") watch.version = transitions.length;
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
