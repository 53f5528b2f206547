import { newId } from "@shop/core";
import { watchPlans } from "@shop/runtime/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import type { OrderFilter } from "../../application/ports/order-store.ts";
import { openTestOrders } from "../../testing/open-test-orders.ts";

const day = 24 * 60 * 60 * 1000;
const firstDay = Date.UTC(2026, 0, 1);

/** Ten orders, one at noon of each day, by two users in turn; every third is cancelled. */
async function openTenDays() {
  const opened = await openTestOrders();
  const userIds = [newId("user"), newId("user")] as const;
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  for (let index = 0; index < 10; index++) {
    vi.setSystemTime(firstDay + index * day + day / 2);
    const { orderId } = await opened.place();
    const set = { user_id: userIds[index % 2]!, ...(index % 3 === 0 && { status: "cancelled" as const }) };
    await opened.documents.updateOne({ _id: orderId }, { $set: set });
  }
  const days = async (filter: OrderFilter) =>
    (await opened.orders.list(filter, 100)).map(({ createTime }) => (createTime.getTime() - firstDay - day / 2) / day);
  return { ...opened, userIds, days };
}

const at = (days: number) => new Date(firstDay + days * day);

test("orders are listed newest first and filtered by user, status and time, from inclusive to exclusive", async () => {
  const { days, userIds } = await openTenDays();
  const [even] = userIds;
  expect(await days({})).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  expect(await days({ userId: even })).toEqual([8, 6, 4, 2, 0]);
  expect(await days({ status: "cancelled" })).toEqual([9, 6, 3, 0]);
  expect(await days({ createdFrom: at(7.5), createdBefore: at(9.5) })).toEqual([8, 7]);
  expect(await days({ createdFrom: at(7.501), createdBefore: at(9.501) })).toEqual([9, 8]);
  expect(await days({ userId: even, status: "cancelled", createdFrom: at(1) })).toEqual([6]);
  expect(await days({ createdFrom: new Date(-1) })).toHaveLength(10);
  expect(await days({ createdBefore: at(0) })).toEqual([]);
});

test("a page continues after the last order of the previous one, with the same filters", async () => {
  const { orders, days, userIds } = await openTenDays();
  const filter = { userId: userIds[0], createdFrom: at(1), createdBefore: at(8) };
  const [first] = await orders.list(filter, 1);
  expect(await days({ ...filter, after: first!.orderId })).toEqual([4, 2]);
});

test("a filter by time reads no orders outside of it", async () => {
  const { documents, orders, userIds } = await openTenDays();
  const plansOf = watchPlans(documents);
  const time = { createdFrom: at(4), createdBefore: at(6) };
  for (const filter of [time, { ...time, userId: userIds[0] }, { ...time, status: "pending" as const }]) {
    const [plan] = await plansOf(() => orders.list(filter, 100));
    expect(plan!.stages).not.toContain("SORT");
    expect(plan!.documents, JSON.stringify(filter)).toBeLessThanOrEqual(2);
    expect(plan!.keys, JSON.stringify(filter)).toBeLessThanOrEqual(3);
  }
});

test("a page of orders before a time reads about one page, even if many orders were placed right after that time", async () => {
  const { documents, orders, place } = await openTestOrders();
  const plansOf = watchPlans(documents);
  const userId = newId("user");
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  for (let index = 0; index < 300; index++) {
    vi.setSystemTime(firstDay + index * 50);
    await place();
  }
  await documents.updateMany({}, { $set: { user_id: userId } });
  const createdBefore = new Date(firstDay + 30 * 50);
  for (const filter of [{ createdBefore }, { createdBefore, userId }, { createdBefore, status: "pending" as const }]) {
    const [plan] = await plansOf(async () => expect(await orders.list(filter, 20)).toHaveLength(20));
    expect(plan!.documents, JSON.stringify(filter)).toBeLessThanOrEqual(20 + 3);
    expect(plan!.keys, JSON.stringify(filter)).toBeLessThanOrEqual(20 + 4);
  }
});
