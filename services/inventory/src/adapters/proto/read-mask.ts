import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidFields } from "@shop/core";
import { ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { cutText } from "@shop/rest";

const localNames: ReadonlyMap<string, string> = new Map(
  ProductSchema.fields.map(({ name, localName }) => [name, localName]),
);

/** The fields of a read mask (AIP-157) and `product_id`; undefined for all. Throws INVALID_ARGUMENT for unknown paths. */
export function fieldsToRead(mask: FieldMask | undefined): ReadonlySet<string> | undefined {
  const paths = mask?.paths ?? [];
  if (paths.length === 0 || paths.includes("*")) return undefined;
  const unknown = paths.filter((path) => !localNames.has(path));
  if (unknown.length > 0) {
    throw invalidFields(
      unknown.map((path) => ({ field: "read_mask", description: `${cutText(path)} is not a field of a product` })),
    );
  }
  return new Set(["product_id", ...paths]);
}

/** Returns a function that removes all other fields from a product. */
export function keepFields(fields: ReadonlySet<string>) {
  const wanted = new Set([...fields].map((field) => localNames.get(field)));
  return (product: MessageInitShape<typeof ProductSchema>): MessageInitShape<typeof ProductSchema> =>
    Object.fromEntries(Object.entries(product).filter(([name]) => wanted.has(name)));
}
