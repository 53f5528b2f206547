import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, invalidFields } from "@shop/core";
import { type Product as ProductOnTheWire, ProductState } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { available, type Product, type ProductDetails } from "../../domain/product.ts";
import { missingDetails, toDetails } from "./product.ts";

type Change = (details: ProductDetails, to: ProductDetails) => ProductDetails;

/** The change of the details for each path of an update mask. */
const changes: Readonly<Record<string, Change>> = {
  name: (details, to) => ({ ...details, name: to.name }),
  description: (details, to) => ({ ...details, description: to.description }),
  category: (details, to) => ({ ...details, category: to.category }),
  price: (details, to) => ({ ...details, price: to.price }),
  "price.currency_code": (details, to) => ({
    ...details,
    price: { ...details.price, currencyCode: to.price.currencyCode },
  }),
  "price.minor_units": (details, to) => ({ ...details, price: { ...details.price, minorUnits: to.price.minorUnits } }),
  sku: (details, to) => ({ ...details, sku: to.sku }),
  image_url: (details, to) => ({ ...details, imageUrl: to.imageUrl }),
  attributes: (details, to) => ({ ...details, attributes: to.attributes }),
  state: (details, to) => ({ ...details, state: to.state }),
};

/**
 * Paths that identify the product or are output only: they change nothing (AIP-134, AIP-203). Stock is output only, too, but another
 * value than the current one is refused, because its sender expects to set it.
 */
const ignoredPaths = new Set(["product_id", "etag", "create_time", "update_time"]);

/**
 * Applies an update mask (AIP-161) to a product's details; without a mask, the fields that are set. Throws INVALID_ARGUMENT for a path
 * that can't be changed, except `stock` with the current value, and for an incomplete result.
 */
export function applyChanges(
  { details, balance }: Pick<Product, "details" | "balance">,
  product: ProductOnTheWire,
  mask: FieldMask | undefined,
): ProductDetails {
  const to = toDetails(product);
  const violations: FieldViolation[] = [];
  let changed = details;
  for (const path of mask?.paths ?? pathsThatAreSet(product)) {
    if (ignoredPaths.has(path) || (path === "stock" && product.stock === available(balance))) continue;
    const change = changes[path];
    if (path === "state" && product.state === ProductState.UNSPECIFIED)
      violations.push({ field: "product.state", description: "is required" });
    else if (change !== undefined) changed = change(changed, to);
    else violations.push({ field: `product.${path}`, description: refusalOf(path) });
  }
  violations.push(...missingDetails(changed));
  if (violations.length > 0) throw invalidFields(violations);
  return changed;
}

function refusalOf(path: string): string {
  return path === "stock"
    ? "can't be set: stock follows from its movements"
    : "is not a field that an update can change";
}

function pathsThatAreSet(product: ProductOnTheWire): string[] {
  return [
    ...(product.name === "" ? [] : ["name"]),
    ...(product.description === "" ? [] : ["description"]),
    ...(product.category === "" ? [] : ["category"]),
    ...(product.price === undefined ? [] : ["price"]),
    ...(product.sku === "" ? [] : ["sku"]),
    ...(product.stock === 0 ? [] : ["stock"]),
    ...(product.imageUrl === "" ? [] : ["image_url"]),
    ...(Object.keys(product.attributes).length === 0 ? [] : ["attributes"]),
    ...(product.state === ProductState.UNSPECIFIED ? [] : ["state"]),
  ];
}
