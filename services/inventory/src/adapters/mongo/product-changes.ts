import type { Logger } from "@shop/core";
import { type Changes, createChanges } from "@shop/mongo";
import type { Collection } from "mongodb";
import type { ProductDocument } from "./product-document.ts";

/** Wakes the watches of a product when its balance is projected or the product is deleted. */
export function followProducts(products: Collection<ProductDocument>, log: Logger): Changes {
  return createChanges(products, { operationType: "update" }, log);
}
