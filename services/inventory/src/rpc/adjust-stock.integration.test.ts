import { create } from "@bufbuild/protobuf";
import { createPageTokens, newId } from "@shop/core";
import {
  AdjustStockRequestSchema,
  ListStockMovementsRequestSchema,
  StockMovementKind,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { decide } from "../domain/ledger.ts";
import { openTestInventory } from "../testing/open-test-inventory.ts";
import { adjustStock } from "./adjust-stock.ts";
import { listStockMovements } from "./list-stock-movements.ts";

const adminWith = (headers: Readonly<Record<string, string>> = {}) =>
  contextOf({ kind: "user", userId: "user_admin", roles: ["admin"] }, headers);
const admin = adminWith();

async function openAdjusting() {
  const inventory = await openTestInventory();
  const [adjust, list] = [
    adjustStock(inventory),
    listStockMovements({
      ...inventory,
      pageTokens: createPageTokens(() => ["a secret that is long enough for a test"]),
    }),
  ];
  return {
    ...inventory,
    adjust: async (productId: string, onHandDelta: number, requestId = "", context = admin) =>
      (
        await adjust(
          create(AdjustStockRequestSchema, { productId, onHandDelta, reason: "counted", requestId }),
          context,
        )
      ).stock!,
    list: async (productId: string, pageSize = 0, pageToken = "") =>
      await list(create(ListStockMovementsRequestSchema, { productId, pageSize, pageToken }), admin),
    async reserve(productId: string, quantity: number) {
      const order = { orderId: newId("order"), lines: [{ productId, quantity }] };
      const plan = decide(await inventory.products.balancesOf([productId], "catalogue"), [order]);
      await inventory.ledger.append({ kind: "decided", plan, events: [], actor: "test", time: new Date() });
      return order.orderId;
    },
  };
}

test("stock can be corrected, but not below the reserved units or above the largest stock", async () => {
  const { adjust, addProduct, reserve } = await openAdjusting();
  const productId = await addProduct(10);
  await reserve(productId, 4);
  expect(await adjust(productId, -6)).toMatchObject({ onHand: 4, reserved: 4, available: 0 });
  await expect(adjust(productId, -1)).rejects.toMatchObject({ reason: "STOCK_OUT_OF_BOUNDS" });
  await expect(adjust(productId, 1_000_000_000)).rejects.toMatchObject({ reason: "STOCK_OUT_OF_BOUNDS" });
  expect(await adjust(productId, 3)).toMatchObject({ onHand: 7, available: 3 });
});

test("an adjustment with an idempotency key is made once, also under concurrent repetitions", async () => {
  const { adjust, addProduct, stockOf } = await openAdjusting();
  const productId = await addProduct(10);
  const answers = await Promise.all(Array.from({ length: 10 }, () => adjust(productId, 5, "delivery-1")));
  expect(new Set(answers.map((stock) => stock.onHand))).toEqual(new Set([15]));
  await expect(adjust(productId, 6, "delivery-1")).rejects.toMatchObject({ reason: "REQUEST_ID_REUSED" });
  await adjust(productId, 5, "delivery-2");
  expect(await stockOf(productId)).toEqual({ onHand: 20, reserved: 0 });
});

test("concurrent adjustments add up", async () => {
  const { adjust, addProduct, stockOf, ledgerSumOf } = await openAdjusting();
  const productId = await addProduct(0);
  await Promise.all(Array.from({ length: 20 }, () => adjust(productId, 3)));
  expect(await stockOf(productId)).toEqual({ onHand: 60, reserved: 0 });
  expect(await ledgerSumOf(productId)).toEqual({ onHand: 60, reserved: 0 });
});

test("movements have their reason, actor and orders, and pages of them have no gaps", async () => {
  const { adjust, addProduct, reserve, list } = await openAdjusting();
  const productId = await addProduct(10);
  await adjust(productId, -2);
  const orderId = await reserve(productId, 1);
  const first = await list(productId, 2);
  expect(first.movements).toMatchObject([
    { sequence: 3, kind: StockMovementKind.RESERVED, reservedDelta: 1, orderIds: [orderId] },
    { sequence: 2, kind: StockMovementKind.ADJUSTED, onHandDelta: -2, actor: "user_admin", reason: "counted" },
  ]);
  const second = await list(productId, 2, first.nextPageToken);
  expect(second).toMatchObject({
    movements: [{ sequence: 1, kind: StockMovementKind.RECEIVED, onHandDelta: 10 }],
    nextPageToken: "",
  });
});
