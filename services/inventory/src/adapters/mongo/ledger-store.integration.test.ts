import { newId } from "@shop/core";
import { expect, test } from "vitest";
import { decide } from "../../domain/ledger.ts";
import { newProduct, openTestInventory } from "../../testing/open-test-inventory.ts";

const entryOf = (plan: ReturnType<typeof decide>) =>
  ({ kind: "decided", plan, events: [], actor: "test", time: new Date() }) as const;
const orderOf = (productId: string, quantity: number) => ({
  orderId: newId("order"),
  lines: [{ productId, quantity }],
});

test("of two entries from the same balance one is appended, and the other changes nothing", async () => {
  const { ledger, products, stockOf, addProduct } = await openTestInventory();
  const productId = await addProduct(1);
  const balances = await products.balancesOf([productId], "catalogue");
  const rivals = [orderOf(productId, 1), orderOf(productId, 1)].map((order) => decide(balances, [order]));
  const outcomes = await Promise.all(rivals.map((plan) => ledger.append(entryOf(plan))));
  expect(outcomes.filter((isFirst) => isFirst)).toHaveLength(1);
  expect(await stockOf(productId)).toEqual({ onHand: 1, reserved: 1 });
});

test("an order can't be decided twice, not even over different products", async () => {
  const { ledger, products, stockOf, addProduct } = await openTestInventory();
  const [first, second] = [await addProduct(5), await addProduct(5)];
  const balances = await products.balancesOf([first, second], "catalogue");
  const { orderId } = orderOf(first, 1);
  const decisionOn = (productId: string) => decide(balances, [{ orderId, lines: [{ productId, quantity: 1 }] }]);
  expect(await ledger.append(entryOf(decisionOn(first)))).toBe(true);
  expect(await ledger.append(entryOf(decisionOn(second)))).toBe(false);
  expect(await stockOf(second)).toEqual({ onHand: 5, reserved: 0 });
});

test("the database refuses an entry with a repeated key or without keys", async () => {
  const { ledgerDocuments } = await openTestInventory();
  const entry = {
    kind: "decided",
    moves: [],
    decisions: [],
    closings: [],
    create_time: new Date(),
    outbox: [],
  } as const;
  const insert = (keys: string[]) =>
    ledgerDocuments.insertOne({ ...structuredClone(entry), _id: newId("entry"), keys } as never);
  await expect(insert(["p:1", "p:1"])).rejects.toThrow("Document failed validation");
  await expect(insert([])).rejects.toThrow("Document failed validation");
  await insert(["p:1", "p:2"]);
  await expect(insert(["q:1", "p:2"])).rejects.toThrow("E11000");
});

test("catchUp applies all entries that a balance lacks, by any writer", async () => {
  const { ledger, ledgerDocuments, productDocuments, stockOf, addProduct } = await openTestInventory();
  const productId = await addProduct(5);
  for (const [sequence, reserved] of [
    [2, 1],
    [3, 2],
    [4, -1],
  ] as const) {
    await ledgerDocuments.insertOne({
      _id: newId("entry"),
      kind: "decided",
      keys: [`${productId}:${sequence}`],
      moves: [{ product_id: productId, sequence, on_hand_delta: 0, reserved_delta: reserved }],
      decisions: [],
      closings: [],
      actor: "test",
      create_time: new Date(),
      outbox: [],
    });
  }
  expect(await stockOf(productId)).toEqual({ onHand: 5, reserved: 0 });
  await Promise.all(Array.from({ length: 4 }, () => ledger.catchUp([productId])));
  expect(await stockOf(productId)).toEqual({ onHand: 5, reserved: 2 });
  expect((await productDocuments.findOne({ _id: productId }))?.balance.sequence).toBe(4);
});

test("a refused product leaves no entry in the ledger", async () => {
  const { ledger, ledgerDocuments, addProduct } = await openTestInventory();
  await addProduct(5, "SKU-1");
  const productId = newId("product");
  const added = [newProduct(newId("product"), 7, "SKU-2"), newProduct(productId, 7, "sku-1")];
  await expect(ledger.insertProducts(added, "test")).rejects.toMatchObject({
    reason: "SKU_TAKEN",
    facts: { metadata: { sku: "sku-1" } },
  });
  expect(await ledgerDocuments.countDocuments({ "moves.product_id": productId })).toBe(0);
});
