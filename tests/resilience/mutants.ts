import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A mistake that a run has to find: one place of the product, changed. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const mutants: readonly Mutant[] = [
  {
    name: "no outbox sweeper",
    file: "platform/src/outbox/outbox.ts",
    from: "run: (signal) => sweep(signal, before),",
    to: "run: async () => void [sweep, before],",
  },
  {
    name: "acknowledged before it is committed",
    file: "platform/src/bus/consumer.ts",
    from: "      try {\n        await this.#handle(batch);",
    to: "      try {\n        for (const message of batch) message.ack();\n        await this.#handle(batch);",
  },
  {
    name: "no unique key in the ledger",
    file: "services/inventory/src/store/ledger-store.ts",
    from: '{ name: "keys", unique: true }',
    to: '{ name: "keys" }',
  },
  {
    name: "no unique request",
    file: "services/orders/src/store/order-store.ts",
    from: 'name: "request",\n      unique: true,',
    to: 'name: "request",',
  },
];

const copied = ["gen", "platform", "services", "gateway", "package.json"];

/** A copy of the repository with one mistake in it, in a temporary folder; throws when the place to change is not there. */
export function plant({ file, from, to }: Mutant, root: string): string {
  const copy = mkdtempSync(join(tmpdir(), "shop-mutant-"));
  for (const name of copied) {
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !path.includes("node_modules") });
  }
  const text = readFileSync(join(copy, file), "utf8");
  if (text.split(from).length !== 2) throw new Error(`${file} has no single place to change: ${from}`);
  writeFileSync(
    join(copy, file),
    text.replace(from, () => to),
  );

  const modules = join(copy, "node_modules");
  mkdirSync(join(modules, "@shop"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@shop") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  for (const name of ["gen", "platform", "gateway"]) symlinkSync(join("../..", name), join(modules, "@shop", name));
  for (const name of ["users", "inventory", "orders"]) {
    symlinkSync(join("../../services", name), join(modules, "@shop", name));
  }
  return copy;
}
