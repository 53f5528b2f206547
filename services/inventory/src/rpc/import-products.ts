import { create } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import {
  ImportErrorSchema,
  ImportProductsResponseSchema,
  type InventoryService,
  type Product,
  ProductSchema,
  ProductState,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { actorOf, callerOf, createMessageCheck, type FieldViolation, invalidFields } from "@shop/platform";
import { createUpsert, type WantedProduct } from "../upsert-products.ts";
import { missingDetails, toDetails } from "../wire/product.ts";

const maxRows = 10_000;
const maxErrors = 1_000;
/** Rows that are written together. */
const rowsAtOnce = 250;

const brokenRules = createMessageCheck(ProductSchema);

/** Adds and changes products as rows come, and tells what became of them. Safe to retry: what is as a row wants it stays so. */
export function importProducts(
  on: Parameters<typeof createUpsert>[0],
): MethodImpl<typeof InventoryService.method.importProducts> {
  const upsert = createUpsert(on);

  return async (requests, context) => {
    const actor = actorOf(callerOf(context));
    const told = create(ImportProductsResponseSchema);
    const rowOf = new Map<string, number>();
    let row = 0;
    let waiting: WantedProduct[] = [];

    async function write(): Promise<void> {
      const outcomes = await upsert(waiting, actor);
      for (const outcome of outcomes.values()) told[outcome]++;
      waiting = [];
    }

    function refuse(sku: string, violations: readonly FieldViolation[]): void {
      told.refused++;
      for (const { field, description } of violations.slice(0, maxErrors - told.errors.length)) {
        told.errors.push(create(ImportErrorSchema, { row, sku, field, description }));
      }
    }

    for await (const { product = create(ProductSchema) } of requests) {
      if (++row > maxRows)
        throw invalidFields([{ field: "product", description: `is one row more than ${maxRows}: begin another call` }]);
      const { sku } = product;
      const first = rowOf.get(sku);
      const violations = [
        ...mistakesIn(product),
        ...(first === undefined ? [] : [{ field: "sku", description: `is that of row ${first}, too` }]),
      ];
      if (violations.length > 0) {
        refuse(sku, violations);
        continue;
      }
      rowOf.set(sku, row);
      waiting.push(toWanted(product));
      if (waiting.length === rowsAtOnce) await write();
    }
    await write();
    return told;
  };
}

function mistakesIn(product: Product): FieldViolation[] {
  return [
    ...brokenRules(product),
    ...missingDetails(toDetails(product), ""),
    ...(product.sku === "" ? [{ field: "sku", description: "is required" }] : []),
  ];
}

function toWanted(product: Product): WantedProduct {
  const { sku, stock, state } = product;
  return { sku, details: toDetails(product), keepsState: state === ProductState.UNSPECIFIED, stock };
}
