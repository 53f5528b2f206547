import { create } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { UserDeletedSchema } from "@shop/gen/shop/users/v1/events_pb";
import { expect, test } from "vitest";
import { openTestOrders } from "../testing/open-test-orders.ts";
import { userDeleted } from "./user-deleted.ts";

test("UserDeleted, also when repeated, removes the account's id from its orders and leaves other orders unchanged", async () => {
  const { orders, documents, place } = await openTestOrders();
  const [order, another] = [await place(), await place()];
  const handle = userDeleted({ orders });
  const event = create(UserDeletedSchema, { userId: order.userId });
  await handle([event, create(UserDeletedSchema, { userId: newId("user") })]);
  await handle([event]);
  const { userId: _, ...rest } = order;
  expect(await orders.findById(order.orderId)).toEqual({ ...rest, userId: "" });
  expect(JSON.stringify(await documents.findOne({ _id: order.orderId }))).not.toContain(order.userId);
  expect(await orders.findById(another.orderId)).toEqual(another);
  expect((await orders.findTransitions([another.orderId])).get(another.orderId)!.map(({ actor }) => actor)).toEqual([
    another.userId,
  ]);
});

test("two accounts with the same idempotency key can both be deleted", async () => {
  const { orders, place } = await openTestOrders();
  const placed = [await place(), await place()];
  for (const [index, order] of placed.entries()) {
    const withKey = { ...order, orderId: newId("order") };
    const transition = { status: "pending", time: new Date(), actor: order.userId, reason: "", traceId: "" } as const;
    await orders.insert(withKey, transition, [], { id: "first", hash: String(index) });
  }
  await userDeleted({ orders })(placed.map(({ userId }) => create(UserDeletedSchema, { userId })));
  expect(await orders.list({ userId: "" }, 10)).toHaveLength(4);
});
