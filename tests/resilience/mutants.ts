import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { linkPackages } from "../setup/link-packages.ts";
import type { ProblemKind } from "./checker.ts";
import type { RunSettings } from "./run.ts";

/** Conditions that expose the bugs. The unmodified product has to pass under each of them. */
export const conditions = {
  "many concurrent customers": {
    faultSeconds: 15,
    faults: { victims: ["gateway>orders-1", "gateway>inventory-2", "inventory-1>redis"], actions: ["slow"] },
    stock: 30,
    habits: { thinkMs: 20, duplicates: 0.3, cancels: 0.4 },
  },
  "crashing consumers": {
    faultSeconds: 25,
    faults: { victims: ["inventory-1", "inventory-2", "orders-1", "orders-2"], actions: ["kill"] },
    stock: 300,
    habits: { thinkMs: 20, cancels: 0.7 },
  },
  "a primary that loses its writes": {
    faultSeconds: 20,
    faults: { victims: ["mongodb-primary"], actions: ["strand"] },
    stock: 200,
    habits: { thinkMs: 20, keyless: 0.5 },
  },
  "an unreachable database": {
    faultSeconds: 25,
    faults: {
      victims: ["orders-1>mongodb", "orders-2>mongodb"],
      // Longer than a write's server selection, shorter than a buyer's timeout.
      actions: ["reset"],
      forMs: { least: 6_000, most: 7_500 },
    },
    stock: 200,
    habits: { thinkMs: 20, keyless: 0.5 },
  },
  "an unreachable bus": {
    faultSeconds: 25,
    faults: {
      victims: ["orders-1>nats", "orders-2>nats"],
      // Longer than an order waits before it is decided by a call.
      actions: ["reset"],
      forMs: { least: 6_000, most: 7_500 },
    },
    stock: 300,
    habits: { thinkMs: 20 },
  },
} as const satisfies Readonly<
  Record<string, Required<Pick<RunSettings, "faultSeconds" | "faults" | "stock" | "habits">>>
>;

/** A bug that a run has to find: one changed place of the product. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Code that hides the bug most of the time without guaranteeing it: changed as well. */
  readonly also?: { readonly from: string; readonly to: string };
  /** The conditions that expose it. */
  readonly under: keyof typeof conditions;
  /** The checker's findings: at least one of these. */
  readonly breaks: readonly ProblemKind[];
}

export const mutants: readonly Mutant[] = [
  {
    name: "no outbox sweeper",
    file: "platform/messaging/src/outbox/outbox.ts",
    from: "run: (signal) => sweep(signal, options),",
    to: "run: async () => void sweep,",
    under: "crashing consumers",
    breaks: ["outbox", "decision"],
  },
  {
    name: "published before it is committed",
    file: "services/orders/src/adapters/mongo/order-store.ts",
    from: "        await insert(document);",
    to: "        void outbox.relay(order.orderId, events);\n        await insert(document);",
    under: "many concurrent customers",
    breaks: ["orphan"],
  },
  {
    name: "acknowledged before it is committed",
    file: "platform/messaging/src/bus/consumer.ts",
    from: "      await this.#handle(batch.flatMap(({ events }) => events));",
    to:
      "      for (const { message } of batch) message.ack();\n" +
      "      await this.#handle(batch.flatMap(({ events }) => events));",
    under: "crashing consumers",
    breaks: ["decision", "stuck", "balance"],
  },
  {
    name: "no check of the stock: more is reserved than on hand",
    file: "services/inventory/src/domain/ledger.ts",
    from: "if (quantity > left) {",
    to: "if (quantity > left + 3) {",
    under: "many concurrent customers",
    breaks: ["oversold"],
  },
  {
    name: "no unique key in the ledger",
    file: "services/inventory/src/adapters/mongo/ledger-store.ts",
    from: '{ name: "keys", unique: true }',
    to: '{ name: "keys" }',
    also: { from: "inTurn: oneAtATime(),", to: "inTurn: (work) => work()," },
    under: "many concurrent customers",
    breaks: ["ledger", "oversold", "decision"],
  },
  {
    name: "no unique request",
    file: "services/orders/src/adapters/mongo/order-store.ts",
    from: 'name: "request",\n      unique: true,',
    to: 'name: "request",',
    under: "many concurrent customers",
    breaks: ["doubled"],
  },
  {
    name: "acknowledged by one member only (write concern 1)",
    file: "platform/mongo/src/connect.ts",
    from: 'writeConcern: { w: "majority", journal: true, wtimeoutMS: 10_000 }',
    // Not of users, or an account might be missing when its owner signs in.
    to: 'writeConcern: appName === "users" ? { w: "majority", journal: true, wtimeoutMS: 10_000 } : { w: 1 }',
    under: "a primary that loses its writes",
    breaks: ["lost", "move lost", "doubled"],
  },
  {
    name: "a bulk write's network error is swallowed",
    file: "platform/mongo/src/group-commit.ts",
    from: "return writeErrorsOf(error).length > 0 && error.result.getWriteConcernError() === undefined;",
    to: "return error.result.getWriteConcernError() === undefined;",
    under: "an unreachable database",
    breaks: ["lost", "orphan"],
  },
  {
    name: "released once per delivery of the event",
    file: "services/inventory/src/adapters/mongo/ledger-store.ts",
    from: '...plan.closings.map(({ orderId, outcome }) => stepKey(orderId, outcome === "returned" ? "return" : "close")),',
    to: "",
    under: "many concurrent customers",
    breaks: ["decision", "oversold"],
  },
  {
    name: "stock is decided from a cache",
    file: "services/inventory/src/application/decide-orders.ts",
    from: "const plan = decide(balances, waiting);",
    to: `const plan = decide(
        new Map(
          [...balances].map(([productId, balance]) => {
            const cached = globalThis as unknown as Record<string, { at: number; onHand: number; reserved: number }>;
            if (!(Date.now() - (cached[productId]?.at ?? 0) < 3_000)) cached[productId] = { ...balance, at: Date.now() };
            const { onHand, reserved } = cached[productId]!;
            return [productId, { ...balance, onHand, reserved }];
          }),
        ),
        waiting,
      );`,
    under: "many concurrent customers",
    breaks: ["oversold"],
  },
  {
    name: "cancelled before it was decided, and decided nevertheless",
    file: "services/inventory/src/events/order-closed.ts",
    from:
      "if (undecided.length === 0 && open.length === 0) return;\n\n" +
      '      if (undecided.length > 0) await append("decided", voidOrders(undecided));',
    to: "if (open.length === 0) return void [undecided, voidOrders];",
    under: "many concurrent customers",
    breaks: ["decision"],
  },
  {
    name: "the decision changes an order of any status",
    file: "services/orders/src/adapters/mongo/decision-store.ts",
    from: '{ _id: { $in: [...orderIds] }, status: "pending" }',
    to: "{ _id: { $in: [...orderIds] } }",
    under: "many concurrent customers",
    breaks: ["move lost", "decision"],
  },
  {
    name: "an outbox is emptied before its event is published",
    file: "services/orders/src/adapters/mongo/decision-store.ts",
    from: "$set: { status: transition.status, status_reason: transition.reason, update_time: transition.time },",
    to: "$set: { status: transition.status, status_reason: transition.reason, update_time: transition.time, outbox: [] },",
    also: {
      from: "...(publishedTypes.length === 0 ? {} : { $pull: { outbox: { type: { $in: [...publishedTypes] } } } }),",
      to: "",
    },
    under: "an unreachable bus",
    breaks: ["untold"],
  },
  {
    name: "a decision is deleted before its events are published",
    file: "services/orders/src/application/stock-decisions.ts",
    from: "    await publish(batched(",
    to: "    await decisions.remove(decision.decisionId);\n    await publish(batched(",
    under: "an unreachable bus",
    breaks: ["untold"],
  },
];

const copied = ["gen", "platform", "services", "gateway", "package.json"];

/** The text of the mutant's file, with the bug. Throws when the place to change does not exist. */
export function damaged({ file, from, to, also }: Mutant, root: string): string {
  let text = readFileSync(join(root, file), "utf8");
  for (const change of [{ from, to }, ...(also === undefined ? [] : [also])]) {
    if (text.split(change.from).length !== 2) throw new Error(`${file} has no single place to change: ${change.from}`);
    text = text.replace(change.from, () => change.to);
  }
  return text;
}

/** A copy of the repository with one bug, in a temporary folder. Throws when the place to change does not exist. */
export function plant(mutant: Mutant, root: string): string {
  const copy = mkdtempSync(join(tmpdir(), "shop-mutant-"));
  for (const name of copied) {
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: (path) => !path.includes("node_modules") });
  }
  writeFileSync(join(copy, mutant.file), damaged(mutant, root));

  linkPackages(root, copy);
  return copy;
}
