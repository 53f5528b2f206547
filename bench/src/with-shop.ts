import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Shop, startShop } from "./shop.ts";
import { Shopping } from "./shopping.ts";

/** Runs `work` on a shop with this many products and plenty of stock of each, then removes the shop. */
export async function withShop<Result>(
  productCount: number,
  work: (shop: Shop, shopping: Shopping, productIds: readonly string[]) => Promise<Result>,
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<Result> {
  const dataDir = await mkdtemp(join(tmpdir(), "shop-bench-"));
  const shop = await startShop(dataDir, env, flags);
  try {
    await shop.settled();
    const shopping = new Shopping(shop.url);
    return await work(shop, shopping, await shopping.addProducts(productCount));
  } finally {
    await shop.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
