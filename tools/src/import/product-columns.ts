import { type DescField, type DescMessage, fromJson, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { formatMoney, minorUnitDigits } from "@shop/money";
import { cutText } from "@shop/rest";

/** Something that a file says of products: a field, or one of the attributes. */
export interface Column {
  /** With a dot where a field is inside of another: `price.minor_units`, `attributes.color`. */
  readonly path: string;
  readonly field: DescField;
}

/** What each row has to say. */
export const requiredColumns = ["sku", "name", "category", "price.currency_code", "price.minor_units"] as const;

/** Given by the server: a file that has them, because it was made from its answers, may keep them. */
const ofTheServer: ReadonlySet<string> = new Set(["product_id", "etag", "create_time", "update_time"]);

const attributes = "attributes.";
const plain = (name: string) => name.toLowerCase().replaceAll("_", "");
const columns = new Map(columnsOf(ProductSchema, "").map((column) => [plain(column.path), column]));

/** What files can say of a product, for a person. */
export const columnNames = [
  ...new Set([...requiredColumns, ...[...columns.values()].map(({ path }) => path)]).difference(ofTheServer),
  "attributes.<a-z, 0-9 and _>",
].join(", ");

function columnsOf(schema: DescMessage, prefix: string): Column[] {
  return schema.fields.flatMap((field) => {
    const path = prefix + field.name;
    if (field.fieldKind === "map") return [];
    if (field.fieldKind !== "message" || ofTheServer.has(path)) return [{ path, field }];
    return columnsOf(field.message, `${path}.`);
  });
}

/** The column of that name, in proto or JSON form, in whatever case; undefined when products have no such field. */
export function findColumn(name: string): Column | undefined {
  if (!name.toLowerCase().startsWith(attributes)) return columns.get(plain(name));
  const key = name.slice(attributes.length);
  const field = ProductSchema.fields.find((one) => one.fieldKind === "map")!;
  return /^[a-z][a-z0-9_]*$/.test(key) ? { path: attributes + key, field } : undefined;
}

/** Says that products have no field of that name. */
export function noSuchField(name: string): string {
  const inside = [...columns.values()].map(({ path }) => path).filter((path) => path.startsWith(`${name}.`));
  const instead = inside.length > 0 ? `: give ${inside.join(" and ")}` : "";
  return `"${cutText(name)}" is not a field of products${instead}`;
}

/** Whether it takes whole numbers. */
export function isNumeric({ field }: Column): boolean {
  return field.fieldKind === "scalar" && largest[field.scalar] !== undefined;
}

/**
 * The product of a row, from its texts. A text that is empty is one that is absent.
 * @throws RowError that names everything that is wrong
 */
export function toProduct(values: Iterable<readonly [Column, string]>): Product {
  const json: JsonObject = {};
  const mistakes: string[] = [];
  const seen = new Set<string>();
  const given = [...values];
  const textOf = (path: string) => given.find(([column]) => column.path === path)?.[1] ?? "";
  const currencyCode = textOf("price.currency_code");
  for (const [column, text] of given) {
    const { path } = column;
    if (seen.has(path)) mistakes.push(`${path} is given twice`);
    seen.add(path);
    if (text === "" || ofTheServer.has(path)) continue;
    const mistake = mistakeIn(column, text, currencyCode);
    if (mistake !== undefined) mistakes.push(mistake);
    else put(json, path, text);
  }
  // To the service a number that is absent is 0, and the product free. It misses the other required ones itself.
  if (textOf("price.minor_units") === "")
    mistakes.push(`price.minor_units is required: ${integers["price.minor_units"]!(currencyCode)}`);
  if (mistakes.length > 0) throw new RowError(mistakes.join("; "));
  return fromJson(ProductSchema, json);
}

function put(json: JsonObject, path: string, text: string): void {
  const dot = path.indexOf(".");
  if (dot === -1) json[path] = text;
  else {
    const outer = path.slice(0, dot);
    json[outer] = { ...(json[outer] as JsonObject | undefined), [path.slice(dot + 1)]: text };
  }
}

/** Why a row can't be used. */
export class RowError extends Error {
  override readonly name = "RowError";
}

/** Integers are read by their digits: what else JSON and JavaScript take for a number (0x10, 1e3, 1.0) is a mistake in a table. */
function mistakeIn(column: Column, text: string, currencyCode: string): string | undefined {
  const { path, field } = column;
  // Half of a surrogate pair would be written as U+FFFD.
  if (!text.isWellFormed() || text.includes("\ufffd")) return `${path} holds a character that can't be read`;
  if (field.fieldKind === "enum") {
    const names = field.enum.values.filter(({ number }) => number !== 0).map(({ name }) => name);
    return names.includes(text) ? undefined : `${path} is "${cutText(text)}", but has to be ${names.join(" or ")}`;
  }
  if (field.fieldKind !== "scalar") return undefined;
  const most = largest[field.scalar];
  if (most === undefined || (/^-?\d{1,18}$/.test(text) && BigInt(text) <= most && BigInt(text) >= -most))
    return undefined;
  const expected = integers[path]?.(currencyCode) ?? "a whole number in digits alone";
  return `${path} is "${cutText(text)}", but has to be ${expected}`;
}

/** What each takes, by the currency of the row. */
const integers: Readonly<Record<string, (currencyCode: string) => string>> = {
  "price.minor_units": (currencyCode) => {
    const example = {
      minorUnits: 1299n,
      currencyCode: minorUnitDigits(currencyCode) === undefined ? "EUR" : currencyCode,
    };
    return `a whole number of the currency's smallest unit, in digits alone: 1299 for ${formatMoney(example)}`;
  },
  stock: () => "a whole number, in digits alone: 25",
};

const largest: Readonly<Partial<Record<ScalarType, bigint>>> = {
  [ScalarType.INT32]: 2n ** 31n - 1n,
  [ScalarType.INT64]: 2n ** 63n - 1n,
};
