import type { Logger } from "@shop/core";
import { type Changes, createChanges } from "@shop/mongo";
import type { Collection } from "mongodb";
import type { ProductDocument } from "./product-document.ts";

/** Wakes who waits for a product's balance to follow its ledger, or for the product to leave the catalogue. */
export function followProducts(products: Collection<ProductDocument>, log: Logger): Changes {
  return createChanges(products, { operationType: "update" }, log);
}
