import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { Money as MoneyOnTheWire } from "@shop/gen/shop/common/v1/money_pb";
import type { Product as ProductOnTheWire, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { FieldViolation, Money } from "@shop/platform";
import { available, etagOf, type Product, type ProductDetails } from "../domain/product.ts";

export function toProductMessage(product: Product): MessageInitShape<typeof ProductSchema> {
  const { name, description, category, price, sku } = product.details;
  return {
    productId: product.productId,
    name,
    description,
    category,
    price: { currencyCode: price.currencyCode, minorUnits: price.minorUnits },
    stock: available(product.balance),
    sku: sku ?? "",
    etag: etagOf(product),
    createTime: timestampFromDate(product.createTime),
    updateTime: timestampFromDate(product.updateTime),
  };
}

/** What has to be there, and is not. */
export function missingDetails({ name, category, price }: ProductDetails): FieldViolation[] {
  return [
    ...(name === "" ? ["product.name"] : []),
    ...(category === "" ? ["product.category"] : []),
    ...(price.currencyCode === "" ? [price.minorUnits === 0n ? "product.price" : "product.price.currency_code"] : []),
  ].map((field) => ({ field, description: "is required" }));
}

/** What a product's owner wrote, complete or not. */
export function toDetails(product: ProductOnTheWire): ProductDetails {
  return {
    name: product.name,
    description: product.description,
    category: product.category,
    price: toMoney(product.price),
    sku: product.sku === "" ? undefined : product.sku,
  };
}

function toMoney(money: MoneyOnTheWire | undefined): Money {
  return { currencyCode: money?.currencyCode ?? "", minorUnits: money?.minorUnits ?? 0n };
}
