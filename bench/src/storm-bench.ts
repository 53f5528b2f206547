import { setTimeout as delay } from "node:timers/promises";
import type { BenchSettings } from "./settings.ts";
import type { Shop } from "./shop.ts";
import type { Shopping } from "./shopping.ts";
import { table } from "./table.ts";
import { withShop } from "./with-shop.ts";

/** The killed processes, in turn. Without Redis orders are accepted as well. */
const parts = ["orders", "mongodb", "inventory", "nats", "users", "gateway"] as const;
const killEveryMs = 1_250;
const buyerCount = 8;
const pauseMs = 50;
const answerTimeoutMs = 6_000;
const productCount = 50;
/** The required bounds. */
const leastShare = 0.3;
const longestGapMs = 15_000;

/** Whether orders are accepted while one process after the other is killed. */
export async function benchStorm({ minutes = 1 }: BenchSettings): Promise<string> {
  const durationMs = minutes * 60_000;
  return await withShop(productCount, (shop, shopping, ids) => storm(shop, shopping, ids, durationMs), {}, ["--split"]);
}

async function storm(shop: Shop, shopping: Shopping, productIds: readonly string[], durationMs: number) {
  const tokens = await Promise.all(Array.from({ length: buyerCount }, () => shopping.newShopper()));
  const acceptedAt: number[] = [];
  const refused = new Map<string, number>();
  let asked = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + durationMs;

  async function buy(token: string): Promise<void> {
    while (performance.now() < endsAt) {
      const product = productIds[asked++ % productIds.length];
      const refusal = await fetch(`${shop.url}/orders`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
        body: JSON.stringify({ items: [{ product_id: product, quantity: 1 }] }),
        signal: AbortSignal.timeout(answerTimeoutMs),
      }).then(
        async (response) => {
          const answer = (await response.json()) as { details?: readonly { reason?: string }[] };
          return response.ok ? undefined : (answer.details?.[0]?.reason ?? String(response.status));
        },
        () => "no connection, or a broken one",
      );
      if (refusal === undefined) acceptedAt.push(performance.now() - startedAt);
      else refused.set(refusal, (refused.get(refusal) ?? 0) + 1);
      await delay(pauseMs);
    }
  }

  const kills = new Map<string, number>();
  async function kill(): Promise<void> {
    for (let turn = 0; performance.now() < endsAt; turn++) {
      const part = parts[turn % parts.length]!;
      const pid = shop.findPid(part);
      // A process that has not restarted yet can't be killed.
      if (pid !== undefined) {
        process.kill(pid, "SIGKILL");
        kills.set(part, (kills.get(part) ?? 0) + 1);
      }
      await delay(killEveryMs);
    }
  }
  await Promise.all([...tokens.map(buy), kill()]);

  const share = new Set(acceptedAt.map((at) => Math.floor(at / 1_000))).size / Math.round(durationMs / 1_000);
  const gap = longestGap([0, ...acceptedAt, durationMs]);
  if (share < leastShare || gap > longestGapMs) process.exitCode = 1;
  return [
    `One of ${parts.join(", ")} is killed (SIGKILL) every ${killEveryMs / 1000} s, one after the other, for ${durationMs / 1000} s, while ${buyerCount} buyers`,
    `place orders over REST at the public port of \`npm start -- --split\`. At least ${leastShare * 100}% of the seconds must have an accepted`,
    `order, and no gap between two may be longer than ${longestGapMs / 1000} s.`,
    "",
    ...table(
      ["", ""],
      [
        ["**seconds with an accepted order**", `**${Math.round(share * 100)}%**`],
        ["**longest gap, seconds**", `**${(gap / 1000).toFixed(1)}**`],
        ["orders requested", String(asked)],
        ["orders accepted", String(acceptedAt.length)],
        ["refused", [...refused].map(([reason, count]) => `${reason} ${count}`).join(", ")],
        ["kills", parts.map((part) => `${part} ${kills.get(part) ?? 0}`).join(", ")],
      ],
    ),
  ].join("\n");
}

/** The longest gap between consecutive times. */
function longestGap(times: readonly number[]): number {
  return Math.max(...times.slice(1).map((time, index) => time - times[index]!));
}
