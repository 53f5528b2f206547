import { inventoryClient } from "./internal-clients.ts";
import { type ProductRow, productRows } from "./product-rows.ts";

/** Rows of a call: each answers how far it is. */
const rowsPerCall = 2_000;
const callTimeoutMs = 60_000;

export interface Imported {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly refused: number;
}

/** Loads a file of products into the inventory service, as the starter. Safe to repeat: products are told by their SKU. */
export async function importFile(options: {
  readonly file: string;
  readonly inventoryUrl: string;
  /** Has the key of the starter. */
  readonly dataDir: string;
  readonly log: (line: string) => void;
}): Promise<Imported> {
  const { file, log } = options;
  const inventory = inventoryClient({ ...options, timeoutMs: callTimeoutMs });
  const sum = { created: 0, updated: 0, unchanged: 0, refused: 0 };
  let rows = 0;

  async function send(part: readonly ProductRow[]): Promise<void> {
    const sent = part.filter((row) => "product" in row);
    const told = await inventory.importProducts(
      (async function* () {
        for (const { product } of sent) yield { product };
      })(),
    );
    for (const name of ["created", "updated", "unchanged", "refused"] as const) sum[name] += told[name];
    for (const row of part) {
      if ("product" in row) continue;
      sum.refused++;
      log(`line ${row.line}: ${row.mistake}`);
    }
    for (const { row, sku, field, description } of told.errors)
      log(`line ${sent[row - 1]!.line}, ${sku || "without a SKU"}: ${field} ${description}`);
    rows += part.length;
    log(`${rows} rows: ${sum.created} created, ${sum.updated} changed, ${sum.refused} refused`);
  }

  let waiting: ProductRow[] = [];
  for await (const row of productRows(file)) {
    waiting.push(row);
    if (waiting.length < rowsPerCall) continue;
    await send(waiting);
    waiting = [];
  }
  if (waiting.length > 0) await send(waiting);
  return sum;
}
