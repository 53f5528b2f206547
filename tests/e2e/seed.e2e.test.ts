import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ownEnvironment } from "../setup/own-environment.ts";
import { anonymous, shop } from "./shopping.ts";

const repositoryRoot = join(import.meta.dirname, "../..");

test("the shop opens with a sample catalogue, and npm run seed adds nothing to it", async () => {
  const { stdout } = await promisify(execFile)("npm", ["run", "seed"], {
    cwd: repositoryRoot,
    env: {
      ...ownEnvironment(),
      DATA_DIR: shop.dataDir,
      INVENTORY_URL: shop.inventoryUrl,
    },
  });
  const [, created, skipped] = /(\d+) products? created, (\d+) there already/.exec(stdout) ?? [];
  expect(Number(created)).toBe(0);
  expect(Number(skipped)).toBeGreaterThanOrEqual(100);
  for (const category of ["Coffee", "Tea", "Kitchen", "Books"]) {
    const { products } = await anonymous.inventory.listProducts({ category, pageSize: 100 });
    expect(products.length).toBeGreaterThanOrEqual(10);
  }
});
