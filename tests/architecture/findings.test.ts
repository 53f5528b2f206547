import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stockInvariants } from "../../services/inventory/src/domain/stock-audit.ts";
import { orderInvariants } from "../../services/orders/src/domain/order-audit.ts";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

test("docs/runbook.md says what to do about every finding of an audit, and lists no others", () => {
  const [, findings = ""] = readFileSync(join(repositoryRoot, "docs/runbook.md"), "utf8").split("\n## Findings\n");
  const rows = findings
    .split("\n## ", 1)[0]!
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  const named = rows.flatMap((row) => [...row.split("|")[1]!.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  expect(named.toSorted()).toEqual([...stockInvariants, ...orderInvariants].toSorted());
});
