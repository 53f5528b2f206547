import { Readable } from "node:stream";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { cutText } from "@shop/rest";
import { counted } from "../counted.ts";
import { type ProductRow, productRows } from "./product-rows.ts";
import { openTextFile } from "./text-file.ts";

/** Rows per call, which bounds the rows of unknown outcome when an answer is lost. */
const rowsPerCall = 500;

/**
 * The result of an import: the counts cover the rows up to `lastLine`; no later row was written, except possibly those that
 * are `unanswered`.
 */
export interface Imported {
  readonly created: number;
  readonly updated: number;
  readonly unchanged: number;
  readonly refused: number;
  /** The line of the last row whose outcome is known; 0 if none is. */
  readonly lastLine: number;
  /** The error that ended it; undefined when all rows were sent, or `stop` was aborted. */
  readonly error?: Error;
  /** Lines of rows that were sent and whose outcome is unknown: their answer was lost. */
  readonly unanswered?: { readonly from: number; readonly to: number };
  /** Not all rows were sent, because `stop` was aborted. */
  readonly isStopped: boolean;
}

/**
 * Loads a file of products into the inventory service. Safe to repeat: products are identified by SKU.
 * @throws FileError, and nothing is written, when the file can't be read or its header can't be used
 */
export async function importFile(options: {
  readonly file: string;
  /** Called once the file is known to be readable. */
  readonly connect: () => Client<typeof InventoryService>;
  /** Only report the changes. */
  readonly dryRun: boolean;
  readonly log: (line: string) => void;
  /** Ends it after the rows in progress. */
  readonly stop: AbortSignal;
  /** Ends it at once. */
  readonly kill: AbortSignal;
}): Promise<Imported> {
  const { file, connect, log, dryRun, stop, kill } = options;
  const text = await openTextFile(file);
  try {
    const inventory = connect();
    const sum = { created: 0, updated: 0, unchanged: 0, refused: 0 };
    const lineOfSku = new Map<string, number>();
    const sending = { rows: 0, lastLine: 0, isUnderWay: false };

    async function send(part: readonly ProductRow[]): Promise<void> {
      const sent = part.filter((row) => "product" in row);
      if (sent.length > 0) {
        const requests = sent.map(({ product }) => ({ product, dryRun }));
        const answer = await inventory.importProducts(Readable.from(requests), { signal: kill });
        for (const name of ["created", "updated", "unchanged", "refused"] as const) sum[name] += answer[name];
        for (const { row, sku, field, description } of answer.errors)
          log(`line ${sent[row - 1]!.line}, ${sku || "without a SKU"}: ${field} ${description}`);
        for (const { row, sku, created, fields } of answer.changes)
          log(
            `line ${sent[row - 1]!.line}, ${sku}: ${created ? "would be created" : `${fields.join(", ")} would change`}`,
          );
      }
      sum.refused += part.length - sent.length;
      sending.rows += part.length;
      sending.lastLine = part.at(-1)!.line;
      log(`${counted(sending.rows, "row")}: ${sum.created} created, ${sum.updated} changed, ${sum.refused} refused`);
    }

    function checked(row: ProductRow): ProductRow {
      const result = "product" in row ? (repeatedSku(row.line, row.product.sku, lineOfSku) ?? row) : row;
      if ("mistake" in result) log(`line ${result.line}: ${result.mistake}`);
      return result;
    }

    const outcome = (end: Pick<Imported, "isStopped" | "error" | "unanswered">): Imported => {
      return { ...sum, ...end, lastLine: sending.lastLine };
    };
    let waiting: ProductRow[] = [];
    const sendWaiting = async () => {
      sending.isUnderWay = true;
      await send(waiting);
      sending.isUnderWay = false;
      waiting = [];
    };
    try {
      for await (const row of productRows(file, text)) {
        if (waiting.length === rowsPerCall) await sendWaiting();
        if (stop.aborted) return outcome({ isStopped: true });
        waiting.push(checked(row));
      }
      if (waiting.length > 0) await sendWaiting();
      return outcome({ isStopped: false });
    } catch (error) {
      if (!sending.isUnderWay && sending.lastLine === 0) throw error;
      const broken = { error: error as Error, isStopped: kill.aborted };
      if (!sending.isUnderWay || !mayBeWritten(error)) return outcome(broken);
      return outcome({ ...broken, unanswered: { from: waiting[0]!.line, to: waiting.at(-1)!.line } });
    }
  } finally {
    await text.close();
  }
}

/** Records the line of a SKU; returns the mistake when an earlier line had it, ignoring case. */
function repeatedSku(line: number, sku: string, lineOfSku: Map<string, number>): ProductRow | undefined {
  const key = sku.toLowerCase();
  const first = lineOfSku.get(key);
  if (first !== undefined) return { line, mistake: `the SKU ${cutText(sku)} is also that of line ${first}` };
  if (key !== "") lineOfSku.set(key, line);
  return undefined;
}

const neverBegun = new Set([Code.Unauthenticated, Code.PermissionDenied, Code.Unimplemented]);
const notConnected = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/** Whether a failed call may have written some of its rows: not when it was refused at once, or never reached the service. */
function mayBeWritten(error: unknown): boolean {
  const { code, cause } = ConnectError.from(error);
  return !neverBegun.has(code) && !notConnected.has((cause as NodeJS.ErrnoException | undefined)?.code ?? "");
}
