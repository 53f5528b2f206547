import { create } from "@bufbuild/protobuf";
import type { MethodImpl } from "@connectrpc/connect";
import { actorOf, callerOf } from "@shop/auth";
import { type FieldViolation, invalidFields } from "@shop/core";
import {
  ImportChangeSchema,
  ImportErrorSchema,
  ImportProductsResponseSchema,
  type InventoryService,
  type Product,
  ProductSchema,
  ProductState,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { createMessageCheck } from "@shop/runtime";
import { fieldOf, missingDetails, toDetails } from "../adapters/proto/product.ts";
import { createUpsert, type WantedProduct } from "../application/upsert-products.ts";
import { foldText } from "../domain/fold-text.ts";

const maxRows = 10_000;
/** Errors in the response. Beyond them, a refused row still gets its first one. */
const maxErrors = 1_000;
const rowsPerWrite = 250;

const brokenRules = createMessageCheck(ProductSchema);

/** Creates and updates products while rows arrive, and returns the outcomes. Safe to retry: a product that matches its row is unchanged. */
export function importProducts(
  on: Parameters<typeof createUpsert>[0],
): MethodImpl<typeof InventoryService.method.importProducts> {
  const upsert = createUpsert(on);

  return async (requests, context) => {
    const actor = actorOf(callerOf(context));
    const response = create(ImportProductsResponseSchema);
    const rowOf = new Map<string, number>();
    let row = 0;
    let waiting: WantedProduct[] = [];
    let isDryRun: boolean | undefined;

    async function write(): Promise<void> {
      if (isDryRun) await preview();
      else for (const outcome of (await upsert.write(waiting, actor)).values()) response[outcome]++;
      waiting = [];
    }

    async function preview(): Promise<void> {
      for (const [{ sku }, { outcome, changed }] of await upsert.preview(waiting)) {
        response[outcome]++;
        if (outcome === "unchanged") continue;
        const change = {
          row: rowOf.get(foldText(sku))!,
          sku,
          created: outcome === "created",
          fields: changed.map(fieldOf),
        };
        response.changes.push(create(ImportChangeSchema, change));
      }
    }

    function refuse(sku: string, violations: readonly FieldViolation[]): void {
      response.refused++;
      for (const { field, description } of violations.slice(0, Math.max(1, maxErrors - response.errors.length))) {
        response.errors.push(create(ImportErrorSchema, { row, sku, field, description }));
      }
    }

    for await (const { product = create(ProductSchema), dryRun } of requests) {
      if (++row > maxRows)
        throw invalidFields([{ field: "product", description: `is one row more than ${maxRows}: begin another call` }]);
      isDryRun ??= dryRun;
      if (dryRun !== isDryRun)
        throw invalidFields([{ field: "dry_run", description: "has to be the same in all rows" }]);
      const { sku } = product;
      const first = rowOf.get(foldText(sku));
      const violations = [
        ...violationsIn(product),
        ...(first === undefined ? [] : [{ field: "sku", description: `is that of row ${first}, too` }]),
      ];
      if (violations.length > 0) {
        refuse(sku, violations);
        continue;
      }
      rowOf.set(foldText(sku), row);
      waiting.push(toWanted(product));
      if (waiting.length === rowsPerWrite) await write();
    }
    await write();
    return response;
  };
}

function violationsIn(product: Product): FieldViolation[] {
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
