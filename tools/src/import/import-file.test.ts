import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { type ImportProductsRequest, InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { expect, test } from "vitest";
import { temporaryFolder } from "../testing/temporary-folder.ts";
import { importFile } from "./import-file.ts";

const header = "sku,name,category,price.currency_code,price.minor_units,stock";
const row = (sku: string) => `${sku},Kettle,Kitchen,EUR,3990,25`;

/**
 * Imports rows from line 2 into a fake inventory that calls `onCall` with the rows of each call; it creates all of them, or
 * fails.
 */
async function importRows(
  rows: readonly string[],
  options: {
    readonly onCall?: (call: number, requests: readonly ImportProductsRequest[]) => void;
    readonly dryRun?: boolean;
    readonly stop?: AbortController;
    readonly kill?: AbortController;
  } = {},
) {
  const file = join(temporaryFolder(), "products.csv");
  writeFileSync(file, [header, ...rows].join("\n"));
  const { onCall, dryRun = false, stop = new AbortController(), kill = new AbortController() } = options;
  const sent: string[] = [];
  const printed: string[] = [];
  let calls = 0;
  const transport = createRouterTransport(({ service }) => {
    service(InventoryService, {
      async importProducts(requests) {
        const all = await Array.fromAsync(requests);
        onCall?.(++calls, all);
        sent.push(...all.map(({ product }) => product!.sku));
        return { created: all.length };
      },
    });
  });
  const connect = () => createClient(InventoryService, transport);
  const log = (line: string) => printed.push(line);
  const outcome = await importFile({ file, connect, dryRun, log, stop: stop.signal, kill: kill.signal });
  return { outcome, sent, printed };
}

const many = Array.from({ length: 1_800 }, (_, index) => row(`K-${index}`));

test("all valid rows are sent, some hundreds per call", async () => {
  const { outcome, sent, printed } = await importRows([...many, row("k-7"), "short", row(""), row(""), row("K-Z")]);
  expect(outcome).toMatchObject({ created: 1_803, refused: 2, lastLine: 1_806, isStopped: false });
  expect(outcome).not.toHaveProperty("error");
  expect(sent).toHaveLength(1_803);
  expect(printed).toContain("1805 rows: 1803 created, 0 changed, 2 refused");
  expect((await importRows([row("K-1")])).printed).toContain("1 row: 1 created, 0 changed, 0 refused");
  expect(printed).toContain("line 1802: the SKU k-7 is also that of line 9");
  expect(printed).toContainEqual(expect.stringMatching(/^line 1803: has 1 cell for 6 columns/));
});

test("Ctrl-C ends it after the rows in progress, and reports the line", async () => {
  const stop = new AbortController();
  const { outcome, sent } = await importRows(many, { stop, onCall: (call) => call === 2 && stop.abort() });
  expect(outcome).toMatchObject({ created: 1_000, lastLine: 1_001, isStopped: true });
  expect(outcome).not.toHaveProperty("unanswered");
  expect(sent).toHaveLength(1_000);
});

test("a second Ctrl-C aborts, and reports the rows that may be written", async () => {
  const kill = new AbortController();
  const { outcome } = await importRows(many, {
    kill,
    onCall(call) {
      if (call === 2) kill.abort();
    },
  });
  expect(outcome).toMatchObject({ created: 500, lastLine: 501, isStopped: true, unanswered: { from: 502, to: 1_001 } });
});

test.each([
  ["is lost", new ConnectError("aborted", Code.Aborted)],
  ["fails", new ConnectError("internal error", Code.Internal)],
  ["has lost its database", new ConnectError("the database can't be reached", Code.Unavailable)],
])(
  "when the service %s midway, it reports the rows that are written, that may be, and that are not",
  async (_what, error) => {
    const { outcome } = await importRows(many, {
      onCall(call) {
        if (call === 3) throw error;
      },
    });
    expect(outcome).toMatchObject({
      created: 1_000,
      lastLine: 1_001,
      isStopped: false,
      error: { rawMessage: error.rawMessage },
      unanswered: { from: 1_002, to: 1_501 },
    });
  },
);

test("an import that the service refuses at once has certainly written nothing", async () => {
  const { outcome } = await importRows(many, {
    onCall() {
      throw new ConnectError("only administrators may", Code.PermissionDenied);
    },
  });
  expect(outcome).toMatchObject({ created: 0, lastLine: 0, error: { code: Code.PermissionDenied } });
  expect(outcome).not.toHaveProperty("unanswered");
});

test("a dry run sets the dry-run flag of each row", async () => {
  await importRows(many, {
    dryRun: true,
    onCall: (_call, requests) => expect(new Set(requests.map(({ dryRun }) => dryRun))).toEqual(new Set([true])),
  });
});

test("a file with an unreadable later part is not imported at all", async () => {
  const calls: number[] = [];
  const rows = [...many, "K-\ufffd,Kettle,Kitchen,EUR,1,1"];
  await expect(importRows(rows, { onCall: (call) => calls.push(call) })).rejects.toThrow(/^line 1802 /);
  expect(calls).toEqual([]);
});
