import type { JsonValue } from "@bufbuild/protobuf";
import type { Product } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { cutText, repeatedKey } from "@shop/rest";
import { counted } from "../counted.ts";
import { cellsOf, csvRecords } from "./csv-records.ts";
import {
  type Column,
  columnNames,
  findColumn,
  isNumeric,
  noSuchField,
  RowError,
  requiredColumns,
  toProduct,
} from "./product-columns.ts";
import { FileError, type FileLine, maxLineLength, type TextFile } from "./text-file.ts";

/** A row of a file, with the line where it begins: a product, or its mistakes. */
export type ProductRow = { readonly line: number } & ({ readonly product: Product } | { readonly mistake: string });

/**
 * Reads products from CSV with a header (RFC 4180), separated by comma, semicolon or tab, or, from a file named `.ndjson` or
 * `.jsonl`, one JSON text per line. In CSV a dot denotes a nested field, and an empty cell an absent one.
 * @throws FileError when the file has no rows, or its header can't be used
 */
export async function* productRows(name: string, file: TextFile): AsyncGenerator<ProductRow> {
  const rows = /\.(ndjson|jsonl)$/i.test(name) ? jsonRows(file.lines()) : csvRows(file.lines());
  let isEmpty = true;
  for await (const row of rows) {
    isEmpty = false;
    yield row;
  }
  if (isEmpty) throw new FileError("has no rows below its first line");
}

function productRow(line: number, read: () => Product): ProductRow {
  try {
    return { line, product: read() };
  } catch (error) {
    if (error instanceof RowError) return { line, mistake: error.message };
    throw error;
  }
}

async function* jsonRows(lines: AsyncIterable<FileLine>): AsyncGenerator<ProductRow> {
  for await (const { number, text, isTooLong } of lines) {
    if (text.trim() === "") continue;
    yield productRow(number, () => {
      if (isTooLong) throw new RowError(`is longer than ${maxLineLength} characters`);
      return toProduct(valuesOf(parseJson(text)));
    });
  }
}

function parseJson(text: string): JsonValue {
  let json: JsonValue;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new RowError(`is not JSON: ${cutText((error as Error).message)}`);
  }
  const key = repeatedKey(text);
  if (key !== undefined) throw new RowError(`"${cutText(key)}" is given twice`);
  return json;
}

function* valuesOf(json: JsonValue, prefix = ""): Generator<[Column, string]> {
  if (json === null || typeof json !== "object" || Array.isArray(json))
    throw new RowError(`${prefix.slice(0, -1) || "the line"} has to be an object with the fields of a product`);
  for (const [name, value] of Object.entries(json)) {
    if (value === null) continue;
    const path = prefix + name;
    if (typeof value === "object" && !Array.isArray(value) && prefix === "") {
      yield* valuesOf(value, `${path}.`);
      continue;
    }
    const column = findColumn(path);
    if (column === undefined) throw new RowError(noSuchField(path));
    if (typeof value === "string") yield [column, value.trim()];
    else if (typeof value === "number" && isNumeric(column)) yield [column, String(value)];
    else throw new RowError(`${path} has to be a text`);
  }
}

async function* csvRows(lines: AsyncGenerator<FileLine>): AsyncGenerator<ProductRow> {
  const { delimiter, columns } = await readHeader(lines);
  for await (const record of csvRecords(lines, delimiter)) {
    const { line } = record;
    if ("mistake" in record) {
      yield record;
      continue;
    }
    const { cells } = record;
    // An empty line, also in the form that spreadsheets write.
    if (cells.every((cell) => cell === "")) continue;
    yield productRow(line, () => {
      if (cells.length !== columns.length) throw new RowError(wrongLength(cells.length, columns.length, delimiter));
      return toProduct(
        columns.flatMap((column, index) => {
          if (column !== undefined) return [[column, cells[index]!] as const];
          if (cells[index] === "") return [];
          throw new RowError(`has a text in column ${index + 1}, which has no name`);
        }),
      );
    });
  }
}

function wrongLength(cells: number, columns: number, delimiter: string): string {
  const why =
    cells < columns
      ? "a row has a cell for each, empty or not"
      : `a cell that holds ${nameOf(delimiter)} stands in quotes`;
  return `has ${counted(cells, "cell")} for ${counted(columns, "column")}: ${why}`;
}

const delimiters = { ",": "a comma", ";": "a semicolon", "\t": "a tab" } as const;
const nameOf = (delimiter: string) => delimiters[delimiter as keyof typeof delimiters] ?? `"${delimiter}"`;

interface Header {
  readonly delimiter: string;
  /** Undefined for unnamed columns at the end. */
  readonly columns: readonly (Column | undefined)[];
}

/** The first line that is not empty. Excel writes and reads `sep=;` above it. */
async function readHeader(lines: AsyncGenerator<FileLine>): Promise<Header> {
  let among = Object.keys(delimiters);
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    const { number, text } = next.value;
    const said = /^"?sep=(.)"?$/i.exec(text)?.[1];
    if (said !== undefined) among = [said];
    else if (text.trim() !== "") return headerIn(text, number, among);
  }
  throw new FileError(`is empty: its first line has to name the columns, such as ${requiredColumns.join(",")}`);
}

function headerIn(text: string, line: number, among: readonly string[]): Header {
  const candidates = among.map((delimiter) => {
    const names = [...(cellsOf(text, delimiter) ?? [])];
    while (names.at(-1) === "" && names.length > 1) names.pop();
    return { delimiter, width: cellsOf(text, delimiter)?.length ?? 0, names };
  });
  const known = ({ names }: { readonly names: readonly string[] }) => names.filter((name) => findColumn(name)).length;
  const [best] = candidates.toSorted((a, b) => known(b) - known(a) || b.width - a.width);
  const { delimiter, width, names } = best!;
  const columns = names.map((name) => findColumn(name));
  const mistakes = headerMistakes(names, columns);
  if (mistakes.length > 0)
    throw new FileError(
      `line ${line} has to name the columns, separated by comma, semicolon or tab: ${mistakes.join("; ")}. Columns are ${columnNames}.`,
    );
  return { delimiter, columns: [...columns, ...Array<undefined>(width - names.length)] };
}

function headerMistakes(names: readonly string[], columns: readonly (Column | undefined)[]): string[] {
  const places = Map.groupBy(names.keys(), (index) => columns[index]?.path);
  const unknown = (places.get(undefined) ?? []).map((index) =>
    names[index] === "" ? `column ${index + 1} has no name` : noSuchField(names[index]!),
  );
  const twice = [...places].filter(([path, indexes]) => path !== undefined && indexes.length > 1);
  return [
    ...unknown.slice(0, 5),
    ...twice.map(([path, indexes]) => `${path} is given by columns ${indexes.map((index) => index + 1).join(" and ")}`),
    ...requiredColumns.filter((path) => !places.has(path)).map((path) => `${path} is missing`),
  ];
}
