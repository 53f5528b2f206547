import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { CancelOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { contextOf, silentLog } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import type { OrderStatus } from "../domain/order.ts";
import { cancelUndecidedOrders } from "../jobs/cancel-undecided-orders.ts";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { cancelOrder } from "./cancel-order.ts";

async function openCancelling() {
  const opened = await openTestOrders();
  const cancel = cancelOrder(opened);
  const moveTo = async (orderId: string, ...statuses: OrderStatus[]) => {
    for (const status of statuses) {
      const read = (await opened.orders.findById(orderId))!;
      await opened.orders.transition(read, { status, time: new Date(), actor: "test", reason: "", traceId: "" }, []);
    }
  };
  return {
    ...opened,
    moveTo,
    cancelAs: async (userId: string, orderId: string, reason = "", roles = ["customer"]) =>
      (await cancel(create(CancelOrderRequestSchema, { orderId, reason }), contextOf({ kind: "user", userId, roles })))
        .order!,
  };
}

test("an owner can cancel an order until it is shipped, and repeating that changes nothing", async () => {
  const { place, moveTo, cancelAs, orders } = await openCancelling();
  const [pending, confirmed, shipped] = [await place(), await place(), await place()];
  await moveTo(confirmed.orderId, "confirmed");
  await moveTo(shipped.orderId, "confirmed", "shipped");
  for (const { userId, orderId } of [pending, confirmed]) {
    const response = await cancelAs(userId, orderId, "changed my mind");
    expect(await cancelAs(userId, orderId)).toEqual(response);
    expect((await orders.findTransitions([orderId])).get(orderId)!.at(-1)).toMatchObject({
      status: "cancelled",
      actor: userId,
      reason: "changed my mind",
    });
  }
  await expect(cancelAs(shipped.userId, shipped.orderId)).rejects.toMatchObject({ reason: "ORDER_MOVE_REFUSED" });
});

test("another user's order can be cancelled only by an administrator with a reason", async () => {
  const { place, cancelAs } = await openCancelling();
  const { orderId } = await place();
  await expect(cancelAs(newId("user"), orderId)).rejects.toMatchObject({ reason: "ORDER_NOT_FOUND" });
  await expect(cancelAs(newId("user"), orderId, " ", ["admin"])).rejects.toMatchObject({
    reason: "CANCEL_REASON_REQUIRED",
  });
  await cancelAs(newId("user"), orderId, "broken in the warehouse", ["admin"]);
});

test("OrderCancelled is committed in the same write as the status", async () => {
  const { place, cancelAs, documents } = await openCancelling();
  const { userId, orderId } = await place();
  const writes = documents.watch([{ $match: { "updateDescription.updatedFields.status": "cancelled" } }]);
  // Opens the change stream; nothing has changed yet.
  await writes.tryNext();
  await cancelAs(userId, orderId);
  const write = JSON.stringify(await writes.next());
  await writes.close();
  expect(write).toContain(`orders/OrderCancelled/${orderId}/2/0`);
});

test("orders that are pending beyond the deadline are cancelled, and no others", async () => {
  const { orders, clock, place, moveTo } = await openCancelling();
  const [overdue, confirmed, fresh] = [await place(new Date(0)), await place(new Date(0)), await place()];
  await moveTo(confirmed.orderId, "confirmed");
  const decidedAfter = vi.fn();
  await cancelUndecidedOrders({
    orders,
    clock,
    log: silentLog,
    decisionDeadlineMs: 60_000,
    decidedAfter,
  }).run(new AbortController().signal);
  const statuses = await Promise.all(
    [overdue, confirmed, fresh].map(async ({ orderId }) => (await orders.findById(orderId))?.status),
  );
  expect(statuses).toEqual(["cancelled", "confirmed", "pending"]);
  // The metric counts the cancelled one as decided late.
  expect(decidedAfter.mock.calls).toEqual([[expect.closeTo(Date.now() / 1_000, -2)]]);
});
