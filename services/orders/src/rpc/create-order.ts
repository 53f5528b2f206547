import type { MethodImpl } from "@connectrpc/connect";
import { userIdOf } from "@shop/auth";
import { type Clock, currentTraceId, newId } from "@shop/core";
import type { CreateOrderRequest, OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { clientAddressOf } from "@shop/http-port";
import { requestIdReused, requestUnsettled } from "@shop/rpc-server";
import type { Catalogue } from "../adapters/clients/catalogue.ts";
import type { OrderStore } from "../adapters/mongo/order-store.ts";
import { placedEvent } from "../adapters/proto/events.ts";
import { toOrderMessage } from "../adapters/proto/order.ts";
import { asksForTheSame, requestNameOf } from "../adapters/proto/request-name.ts";
import type { Admission } from "../application/admission.ts";
import type { OpenQuantities } from "../application/open-quantities.ts";
import { productsUnknown, totalMoved } from "../domain/errors.ts";
import { asAccepted, type Order, placedVersion, type RequestName, sumByProduct, totalOf } from "../domain/order.ts";

/**
 * Places an order at the catalogue's prices. Once it has answered, the order reaches an end state whatever dies. Safe to
 * retry when the request is named: the order itself is the claim on the name.
 */
export function createOrder(on: {
  readonly orders: OrderStore;
  readonly catalogue: Catalogue;
  readonly admission: Pick<Admission, "admit">;
  readonly openQuantities: OpenQuantities;
  readonly clock: Clock;
}): MethodImpl<typeof OrderService.method.createOrder> {
  /** The answer that a named request got before, if it was made before. */
  async function repeated(userId: string, request: CreateOrderRequest): Promise<Order | undefined> {
    const { requestId } = request;
    const made = requestId === "" ? undefined : await on.orders.findByRequest(userId, requestId);
    if (made !== undefined && !asksForTheSame(request, made.hash)) throw requestIdReused(requestId);
    return made && asAccepted(made.order);
  }

  async function place(request: CreateOrderRequest, userId: string, name: RequestName | undefined): Promise<Order> {
    const order = { ...(await offered(request, on.catalogue)), userId, ...newlyPlaced(on.clock()) };
    const expected = request.expectedTotal;
    if (
      expected &&
      (expected.minorUnits !== order.total.minorUnits || expected.currencyCode !== order.total.currencyCode)
    ) {
      throw totalMoved(order.total);
    }
    const { status, createTime: time } = order;
    const placed = { status, time, actor: userId, reason: "", traceId: currentTraceId() ?? "" };
    const outcome = await on.openQuantities.within(order, (at) =>
      on.orders.insert(order, placed, [placedEvent(order)], name, at),
    );
    if (outcome === "inserted") return order;

    // The same request was made at the same moment, and was first.
    const first = await repeated(userId, request);
    // A primary refuses what it has itself, though a majority has not: whether that is kept is settled in a moment.
    if (first === undefined) throw requestUnsettled();
    return first;
  }

  return async (request, context) => {
    const userId = userIdOf(context);
    const name = requestNameOf(request);
    const load = { account: userId, address: clientAddressOf(context), lines: request.items.length };
    const order =
      (await repeated(userId, request)) ?? (await on.admission.admit(() => place(request, userId, name), load));
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

/** What was asked for, at the catalogue's names and prices. */
async function offered(request: CreateOrderRequest, catalogue: Catalogue) {
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
