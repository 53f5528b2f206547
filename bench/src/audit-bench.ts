import { mean } from "./mean.ts";
import { loadOrders, type OrderLoad } from "./order-load.ts";
import type { BenchSettings } from "./settings.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

const productCount = 20_000;
const fillSeconds = 24;
const fillConnections = 64;
const ordersPerSecond = 100;
const usualConnections = 16;
const usualSeconds = 15;

interface AuditPart {
  readonly findings: readonly unknown[];
  readonly checked: Readonly<Record<string, number>>;
  readonly next_page_token: string;
}

interface Audit {
  readonly parts: number;
  readonly seconds: number;
  readonly findings: number;
  readonly checked: Readonly<Record<string, number>>;
}

/** The effect of a stock audit on concurrent orders. */
export async function benchAudit(settings: BenchSettings): Promise<string> {
  const seconds = settings.seconds ?? usualSeconds;
  const connections = settings.connections ?? usualConnections;
  return await withShop(productCount, async (shop, shopping, productIds) => {
    const filled = await loadOrders(shop, shopping, productIds, { connections: fillConnections, seconds: fillSeconds });
    const token = await shopping.signInAdmin();
    const alone = await auditOnce(shopping, token);

    const orders = () =>
      loadOrders(shop, shopping, productIds.slice(0, 1_000), {
        connections,
        seconds,
        callsPerSecond: ordersPerSecond,
      });
    await orders();
    const [calm, audited]: [OrderLoad[], OrderLoad[]] = [[], []];
    while (calm.length < settings.rounds) {
      calm.push(await orders());
      audited.push(await whileAuditing(shopping, token, orders));
    }
    return describe(filled.ends.taken, alone, { calm, audited }, seconds);
  });
}

/** One audit: AuditStock part by part, each of which rests as long as it worked before it answers. */
async function auditOnce(shopping: Shopping, token: string, goesOn = () => true): Promise<Audit> {
  const startedAt = performance.now();
  const checked: Record<string, number> = {};
  let [parts, findings, from] = [0, 0, ""];
  do {
    const path = `/admin/stock:audit?page_token=${from}`;
    const part = await shopping.call<AuditPart>("GET", path, undefined, token);
    for (const [what, count] of Object.entries(part.checked)) checked[what] = (checked[what] ?? 0) + count;
    findings += part.findings.length;
    from = part.next_page_token;
    parts++;
  } while (from !== "" && goesOn());
  return { parts, seconds: (performance.now() - startedAt) / 1000, findings, checked };
}

/** Audits repeatedly while the work lasts. */
async function whileAuditing<Result>(shopping: Shopping, token: string, work: () => Promise<Result>): Promise<Result> {
  let isDone = false;
  const auditing = (async () => {
    while (!isDone) await auditOnce(shopping, token, () => !isDone);
  })();
  try {
    return await work();
  } finally {
    isDone = true;
    await auditing;
  }
}

function describe(
  orderCount: number,
  alone: Audit,
  { calm, audited }: { readonly calm: readonly OrderLoad[]; readonly audited: readonly OrderLoad[] },
  seconds: number,
): string {
  const p99 = (turns: readonly OrderLoad[]) => mean(turns.map(({ p99Ms }) => p99Ms));
  const row = (name: string, turns: readonly OrderLoad[]) => [
    name,
    mean(turns.map(({ endedPerSecond }) => endedPerSecond)).toFixed(1),
    mean(turns.map(({ p50Ms }) => p50Ms)).toFixed(1),
    p99(turns).toFixed(1),
    turns.map(({ p99Ms }) => p99Ms.toFixed(1)).join(", "),
    turns.map(({ refused }) => Object.values(refused).reduce((a, b) => a + b, 0)).join(", "),
    turns === calm ? "" : (p99(audited) / p99(calm)).toFixed(2),
  ];
  const checked = Object.entries(alone.checked).map(([what, count]) => `${count} ${what}`);
  return [
    `A shop in one process with ${productCount} products and ${orderCount} orders. An audit of its stock checks ${checked.join(", ")}, in`,
    `${alone.parts} parts over AuditStock: ${alone.seconds.toFixed(1)} s without other load, ${alone.findings} findings. Then ${ordersPerSecond} orders of one line a second, in turns of ${seconds} s,`,
    "without audits and with consecutive audits; AuditStock rests after each part for as long as the part took.",
    "",
    ...table(
      ["", "orders/s to the end", "answer p50 ms", "p99 ms", "of each turn", "not 200", "p99 to calm"],
      [row("calm", calm), row("audited", audited)],
    ),
  ].join("\n");
}
