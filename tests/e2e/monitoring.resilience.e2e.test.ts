import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { alerts } from "@shop/tools/monitoring";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Prometheus, startPrometheus } from "../monitoring/prometheus.ts";
import { operatorUrls, runningProcesses } from "../setup/shop.ts";
import { eventually } from "./eventually.ts";
import { plantDeadLetter } from "./plant-dead-letter.ts";
import { type Account, addProduct, anonymous, decided, placeOrder, shop, signInAdmin, signUp } from "./shopping.ts";

// A real Prometheus with the rules of deploy/ on a shorter time scale. Pauses MongoDB, by its id in the shop's run.json.
const deploy = join(import.meta.dirname, "../../deploy");
/** Audits are due every 30 seconds at the earliest, and gauges are read every five. */
const auditTimeoutMs = 60_000;
const firesTimeoutMs = 60_000;

let prometheus: Prometheus;
let admin: Account;

beforeAll(async () => {
  prometheus = await startPrometheus(shop.metricsUrls);
  admin = await signInAdmin();
});
afterAll(async () => {
  await prometheus.stop();
});

/** The PromQL of all rules, and of all panels. */
function expressions() {
  const { groups } = parse(readFileSync(join(deploy, "prometheus/rules.yaml"), "utf8")) as {
    groups: { rules: { expr: string }[] }[];
  };
  const { panels } = JSON.parse(readFileSync(join(deploy, "grafana/shop.json"), "utf8")) as {
    panels: { title: string; targets?: { expr: string }[] }[];
  };
  return {
    rules: groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    panels: panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr }))),
  };
}

async function untilFiring(alertname: string, isFiring: boolean, timeoutMs = firesTimeoutMs): Promise<void> {
  await eventually(
    async () => {
      const names = (await prometheus.firing()).map((labels) => labels.alertname);
      if (isFiring) expect(names).toContain(alertname);
      else expect(names).not.toContain(alertname);
    },
    { timeoutMs, everyMs: 200 },
  );
}

test("the running shop exports every metric that a rule or a panel names", async () => {
  const scrapes = await Promise.all(shop.metricsUrls.map(async (url) => await (await fetch(url)).text()));
  const exported = new Set<string>();
  for (const [, name = "", type] of scrapes.join("\n").matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    exported.add(name);
    // OpenMetrics names a counter without the suffix of its samples.
    if (type === "counter") exported.add(`${name}_total`);
    if (type === "histogram") for (const part of ["bucket", "count", "sum"]) exported.add(`${name}_${part}`);
  }
  const { rules, panels } = expressions();
  const named = [...rules, ...panels.map(({ expr }) => expr)].flatMap((expr) =>
    [...expr.replaceAll(/"[^"]*"/g, "").matchAll(/\b(?:shop|process|nodejs)_\w+/g)].map(([name]) => name),
  );
  expect(named.length).toBeGreaterThan(alerts.length);
  expect([...new Set(named)].filter((name) => !exported.has(name))).toEqual([]);
});

test("every panel of the dashboard has data after some traffic", { timeout: 120_000 }, async () => {
  const buyer = await signUp();
  const product = await addProduct(admin, { stock: 100 });
  const isMissing = async (expr: string) =>
    (await prometheus.query(expr.replaceAll("$__rate_interval", "1m"))).length === 0;
  const missing = async () => {
    await decided(buyer, await placeOrder(buyer, [product, 1]));
    await anonymous.inventory.getProductByID({ productId: product.productId });
    const empty = await Promise.all(
      expressions().panels.map(async (panel) => ((await isMissing(panel.expr)) ? [panel] : [])),
    );
    expect(empty.flat()).toEqual([]);
  };
  await eventually(missing, { timeoutMs: auditTimeoutMs, everyMs: 500 });
});

describe("an injected fault fires its alert, which ends with the fault:", () => {
  test("an event that its consumer gave up", { timeout: 120_000 }, async () => {
    await untilFiring("DeadLetters", false);
    const { deadLetterId } = await plantDeadLetter("orders-stock-reserved");
    await untilFiring("DeadLetters", true);
    const transport = createConnectTransport({
      baseUrl: shop.url,
      httpVersion: "1.1",
      interceptors: [
        (next) => async (request) => {
          request.header.set("authorization", admin.headers.authorization);
          return await next(request);
        },
      ],
    });
    await createClient(DeadLetterService, transport).deleteDeadLetter({ deadLetterId });
    await untilFiring("DeadLetters", false);
  });

  test("stock that differs from the ledger", { timeout: 240_000 }, async () => {
    const mongo = await MongoClient.connect(operatorUrls(shop.dataDir).MONGODB_URI);
    const inventory = mongo.db("inventory");
    /** An audit without a last report is due. */
    const makeAuditDue = () => inventory.collection<{ _id: string }>("audits").deleteOne({ _id: "stock" });
    try {
      const { productId } = await addProduct(admin, { stock: 10 });
      await inventory
        .collection<{ _id: string }>("products")
        .updateOne({ _id: productId }, { $inc: { "balance.on_hand": 5, version: 1 } });
      await makeAuditDue();
      await untilFiring("InvariantBroken", true, auditTimeoutMs);
      await admin.inventory.repairStock({ targets: [{ invariant: "STOCK_BALANCE_WRONG", subject: productId }] });
      await makeAuditDue();
      await untilFiring("InvariantBroken", false, auditTimeoutMs);
    } finally {
      await mongo.close();
    }
  });

  test("a database that hangs, so that no order can be placed", { timeout: 180_000 }, async () => {
    const buyer = await signUp();
    const product = await addProduct(admin, { stock: 1_000 });
    await untilFiring("OrderPlacementFails", false);
    const { pid } = runningProcesses(shop.dataDir).find(({ name }) => name === "mongodb")!;
    let isOver = false;
    const keepBuying = async () => {
      while (!isOver) await placeOrder(buyer, [product, 1]).catch(() => {});
    };
    process.kill(pid, "SIGSTOP");
    const buying = Promise.all(Array.from({ length: 4 }, keepBuying));
    try {
      await untilFiring("OrderPlacementFails", true);
      await untilFiring("DependencyUnreadable", true);
      expect(await prometheus.firing()).toContainEqual(
        expect.objectContaining({ alertname: "OrderPlacementFails", severity: "page", window: "1h" }),
      );
    } finally {
      process.kill(pid, "SIGCONT");
      isOver = true;
      await buying;
    }
    await untilFiring("DependencyUnreadable", false);
    const isPaging = async () =>
      (await prometheus.firing()).some(
        ({ alertname, window }) => alertname === "OrderPlacementFails" && window === "1h",
      );
    await eventually(async () => expect(await isPaging()).toBe(false), { timeoutMs: firesTimeoutMs });
  });
});
