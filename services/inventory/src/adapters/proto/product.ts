import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "@shop/core";
import type { Money as MoneyOnTheWire } from "@shop/gen/shop/common/v1/money_pb";
import {
  type Product as ProductOnTheWire,
  type ProductSchema,
  ProductState as StateOnTheWire,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Money } from "@shop/money";
import { available, etagOf, type Product, type ProductDetails, type ProductState } from "../../domain/product.ts";

const states: Readonly<Record<ProductState, StateOnTheWire>> = {
  active: StateOnTheWire.ACTIVE,
  archived: StateOnTheWire.ARCHIVED,
};

export function toProductMessage(product: Product): MessageInitShape<typeof ProductSchema> {
  return {
    ...toDetailsMessage(product.details),
    productId: product.productId,
    stock: available(product.balance),
    etag: etagOf(product),
    createTime: timestampFromDate(product.createTime),
    updateTime: timestampFromDate(product.updateTime),
  };
}

/** The fields that administrators set, without stock. */
export function toDetailsMessage(details: ProductDetails) {
  const { name, description, category, price, sku, imageUrl, attributes, state } = details;
  return {
    name,
    description,
    category,
    price: { currencyCode: price.currencyCode, minorUnits: price.minorUnits },
    sku: sku ?? "",
    imageUrl,
    attributes: { ...attributes },
    state: states[state],
  };
}

/** The field of the message for a detail. */
export function fieldOf(detail: keyof ProductDetails): string {
  return detail === "imageUrl" ? "image_url" : detail;
}

/** A violation for each required field that is empty. @param path the prefix of the fields */
export function missingDetails({ name, category, price }: ProductDetails, path = "product."): FieldViolation[] {
  return [
    ...(name === "" ? ["name"] : []),
    ...(category === "" ? ["category"] : []),
    ...(price.currencyCode === "" ? [price.minorUnits === 0n ? "price" : "price.currency_code"] : []),
  ].map((field) => ({ field: path + field, description: "is required" }));
}

/** The details of a message, which may be incomplete. The state is active unless it is ARCHIVED. */
export function toDetails(product: ProductOnTheWire): ProductDetails {
  return {
    name: product.name,
    description: product.description,
    category: product.category,
    price: toMoney(product.price),
    sku: product.sku === "" ? undefined : product.sku,
    imageUrl: product.imageUrl,
    attributes: { ...product.attributes },
    state: product.state === StateOnTheWire.ARCHIVED ? "archived" : "active",
  };
}

function toMoney(money: MoneyOnTheWire | undefined): Money {
  return { currencyCode: money?.currencyCode ?? "", minorUnits: money?.minorUnits ?? 0n };
}
