import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type Product, ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { parse } from "csv-parse";

/** A row of a file: a product, or why it is none. */
export type ProductRow = { readonly line: number } & ({ readonly product: Product } | { readonly mistake: string });

/**
 * Reads products from CSV with a header (RFC 4180) or, from a file that ends in `.ndjson` or `.jsonl`, a JSON text a line. Names are
 * those of the fields, in proto or JSON form; in CSV a dot leads into a field, and an empty cell is an absent one. Throws when the
 * file can't be read as either.
 */
export async function* productRows(file: string): AsyncGenerator<ProductRow> {
  for await (const { line, read } of /\.(ndjson|jsonl)$/i.test(file) ? jsonLines(file) : csvRows(file)) {
    try {
      yield { line, product: fromJson(ProductSchema, read()) };
    } catch (error) {
      yield { line, mistake: (error as Error).message };
    }
  }
}

interface RawRow {
  readonly line: number;
  /** Throws for what is no JSON. */
  read(): JsonValue;
}

async function* jsonLines(file: string): AsyncGenerator<RawRow> {
  let line = 0;
  const input = createReadStream(file, "utf8");
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() !== "") yield { line, read: () => JSON.parse(text.replace(/^\ufeff/, "")) };
  }
}

async function* csvRows(file: string): AsyncGenerator<RawRow> {
  const options = { bom: true, columns: true, info: true, skip_empty_lines: true, trim: true } as const;
  const parser = createReadStream(file).pipe(parse(options));
  for await (const { record, info } of parser as AsyncIterable<{
    record: Record<string, string>;
    info: { lines: number };
  }>) {
    yield { line: info.lines, read: () => toJson(record) };
  }
}

function toJson(record: Readonly<Record<string, string>>): JsonObject {
  const json: JsonObject = {};
  for (const [name, text] of Object.entries(record)) {
    if (text === "") continue;
    const path = name.split(".");
    let holder = json;
    for (const step of path.slice(0, -1)) {
      if (!Object.hasOwn(holder, step)) holder[step] = {};
      holder = holder[step] as JsonObject;
    }
    // Numbers in text are numbers to protobuf's JSON.
    holder[path.at(-1)!] = text;
  }
  return json;
}
