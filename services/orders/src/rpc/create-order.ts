import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import { type Clock, currentTraceId, newId } from "@shop/core";
import type { CreateOrderRequest, OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import { placedEvent } from "../adapters/proto/events.ts";
import { hasSameContent, idempotencyKeyOf } from "../adapters/proto/idempotency-key.ts";
import { toOrderMessage } from "../adapters/proto/order.ts";
import type { Admission } from "../application/admission.ts";
import type { OpenQuantities } from "../application/open-quantities.ts";
import type { Catalogue } from "../application/ports/catalogue.ts";
import type { OrderStore } from "../application/ports/order-store.ts";
import { productsUnknown, totalChanged } from "../domain/errors.ts";
import { asAccepted, type IdempotencyKey, type Order, placedVersion, sumByProduct, totalOf } from "../domain/order.ts";

/**
 * Places an order at the catalogue's prices. After the response the order is confirmed, rejected or cancelled, whatever process dies.
 * Safe to retry with an idempotency key, which the order itself claims by a unique index.
 */
export function createOrder(on: {
  readonly orders: OrderStore;
  readonly catalogue: Catalogue;
  readonly admission: Pick<Admission, "admit">;
  readonly openQuantities: OpenQuantities;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.createOrder> {
  /** The order that an earlier request with the same idempotency key placed. Throws REQUEST_ID_REUSED if its content differs. */
  async function repeated(userId: string, request: CreateOrderRequest): Promise<Order | undefined> {
    const { requestId } = request;
    const made = requestId === "" ? undefined : await on.orders.findByRequest(userId, requestId);
    if (made !== undefined && !hasSameContent(request, made.hash)) throw requestIdReused(requestId);
    return made && asAccepted(made.order);
  }

  async function place(request: CreateOrderRequest, userId: string, key: IdempotencyKey | undefined): Promise<Order> {
    const order = { ...(await priced(request, on.catalogue)), userId, ...newlyPlaced(on.clock()) };
    const expected = request.expectedTotal;
    if (
      expected &&
      (expected.minorUnits !== order.total.minorUnits || expected.currencyCode !== order.total.currencyCode)
    ) {
      throw totalChanged(order.total);
    }
    const { status, createTime: time } = order;
    const placed = { status, time, actor: userId, reason: "", traceId: currentTraceId() ?? "" };
    const outcome = await on.openQuantities.insertWithin(order, (sequence) =>
      on.orders.insert(order, placed, [placedEvent(order)], key, sequence),
    );
    if (outcome === "inserted") return order;

    // A concurrent request with the same key was first.
    const first = await repeated(userId, request);
    // The primary has that order, but no majority has acknowledged it, so it may be rolled back.
    if (first === undefined) throw requestUnsettled();
    return first;
  }

  return async (request, context) => {
    const userId = userIdOf(context);
    const key = idempotencyKeyOf(request);
    const load = { account: userId, address: clientAddressOf(context), lines: request.items.length };
    const order =
      (await repeated(userId, request)) ?? (await on.admission.admit(() => place(request, userId, key), load));
    return { order: toOrderMessage(order) };
  };
}

function newlyPlaced(now: Date) {
  return {
    orderId: newId("order"),
    status: "pending",
    statusReason: "",
    version: placedVersion,
    createTime: now,
    updateTime: now,
  } as const;
}

/** The requested items with the catalogue's names and prices. Throws PRODUCT_UNKNOWN with a violation for each unknown line. */
async function priced(request: CreateOrderRequest, catalogue: Catalogue) {
  const wanted = sumByProduct(request.items);
  const offers = await catalogue.offers(wanted.map((item) => item.productId));
  const unknown = request.items.flatMap(({ productId }, index) =>
    offers.has(productId) ? [] : [`items[${index}].product_id`],
  );
  if (unknown.length > 0) throw productsUnknown(unknown);
  const items = wanted.map(({ productId, quantity }) => {
    const { name, price } = offers.get(productId)!;
    return { productId, name, quantity, unitPrice: price };
  });
  return { items, total: totalOf(items) };
}
