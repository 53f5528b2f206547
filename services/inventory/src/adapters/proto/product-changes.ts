import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, invalidFields } from "@shop/core";
import { type Product as ProductOnTheWire, ProductState } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { available, type Product, type ProductDetails } from "../../domain/product.ts";
import { missingDetails, toDetails } from "./product.ts";

type Change = (details: ProductDetails, to: ProductDetails) => ProductDetails;

/** How each path of an update mask changes the details. */
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
 * Paths that say which product and which version is meant, or that are the server's: they change nothing (AIP-134, AIP-203). Stock
 * is the server's too, but an update that asks for another one is refused: it was meant to set it.
 */
const deepFreeze = new Set(["product_id", "etag", "create_time", "update_time"]);

/**
 * Applies an update mask (AIP-161) to a product's details. Without a mask: the fields that are set. Throws INVALID_ARGUMENT for a
 * path that can't be changed, unless the product has that value already, and for a result that is not a complete product.
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
    if (deepFreeze.has(path) || (path === "stock" && product.stock === available(balance))) continue;
    const change = changes[path];
    if (path === "state" && product.state === ProductState.UNSPECIFIED)
      violations.push({ field: "product.state", description: "is required" });
    else if (change !== undefined) changed = change(changed, to);
    else violations.push({ field: `product.${path}`, description: whyNot(path) });
  }
  violations.push(...missingDetails(changed));
  if (violations.length > 0) throw invalidFields(violations);
  return changed;
}

function whyNot(path: string): string {
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
