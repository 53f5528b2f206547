import { type DescField, type DescMessage, fromJson, type JsonObject, ScalarType } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { formatMoney, minorUnitDigits } from "@shop/money";
import { cutText } from "@shop/rest";

/** A column of products: a field, or one of the attributes. */
export interface Column {
  /** With a dot for a nested field: `price.minor_units`, `attributes.color`. */
  readonly path: string;
  readonly field: DescField;
}

/** The required columns. */
export const requiredColumns = ["sku", "name", "category", "price.currency_code", "price.minor_units"] as const;

/** Output-only fields: a file may have them, because it was made from the server's answers. */
const ofTheServer: ReadonlySet<string> = new Set(["product_id", "etag", "create_time", "update_time"]);

const attributes = "attributes.";
const plain = (name: string) => name.toLowerCase().replaceAll("_", "");
const columns = new Map(columnsOf(ProductSchema, "").map((column) => [plain(column.path), column]));

/** The columns of a file, for error messages. */
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

/** The column of that name, in proto or JSON form, ignoring case; undefined when products have no such field. */
export function findColumn(name: string): Column | undefined {
  if (!name.toLowerCase().startsWith(attributes)) return columns.get(plain(name));
  const key = name.slice(attributes.length);
  const field = ProductSchema.fields.find((one) => one.fieldKind === "map")!;
  return /^[a-z][a-z0-9_]*$/.test(key) ? { path: attributes + key, field } : undefined;
}

/** The error for a name that is not a field of products. */
export function noSuchField(name: string): string {
  const inside = [...columns.values()].map(({ path }) => path).filter((path) => path.startsWith(`${name}.`));
  const instead = inside.length > 0 ? `: give ${inside.join(" and ")}` : "";
  return `"${cutText(name)}" is not a field of products${instead}`;
}

/** Whether it is an integer field. */
export function isNumeric({ field }: Column): boolean {
  return field.fieldKind === "scalar" && largest[field.scalar] !== undefined;
}

/**
 * The product of a row, from its texts. An empty text counts as absent.
 * @throws RowError with all mistakes
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
  // To the service an absent number is 0, and the product free. It reports the other missing fields itself.
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

/** Integers are digits only: other notations of JSON and JavaScript (0x10, 1e3, 1.0) are mistakes in a table. */
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

/** The expected value of each, by the currency of the row. */
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
