import type { MethodImpl } from "@connectrpc/connect";
import type { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { type Clock, currentTraceId, newId, userIdOf } from "@shop/platform";
import type { Catalogue } from "../clients/catalogue.ts";
import { productsUnknown } from "../domain/errors.ts";
import { type Order, pendingVersion, sumByProduct, totalOf } from "../domain/order.ts";
import type { OrderStore } from "../store/order-store.ts";
import { placedEvent } from "../wire/events.ts";
import { toOrderMessage } from "../wire/order.ts";

/** Places an order at the catalogue's prices. Once it has answered, the order reaches an end state whatever dies. */
export function createOrder(on: {
  readonly orders: OrderStore;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.createOrder> {
  return async (request, context) => {
    const userId = userIdOf(context);
    const wanted = sumByProduct(request.items);
    const offers = await on.catalogue.offers(wanted.map((item) => item.productId));
    const unknown = request.items.flatMap(({ productId }, index) =>
      offers.has(productId) ? [] : [`items[${index}].product_id`],
    );
    if (unknown.length > 0) throw productsUnknown(unknown);

    const items = wanted.map(({ productId, quantity }) => {
      const { name, price } = offers.get(productId)!;
      return { productId, name, quantity, unitPrice: price };
    });
    const now = on.clock();
    const order: Order = {
      orderId: newId("order"),
      userId,
      status: "pending",
      statusReason: "",
      items,
      total: totalOf(items),
      version: pendingVersion,
      createTime: now,
      updateTime: now,
    };
    const placed = { status: order.status, time: now, actor: userId, reason: "", traceId: currentTraceId() ?? "" };
    await on.orders.insert(order, placed, [placedEvent(order)]);
    return { order: toOrderMessage(order) };
  };
}
