import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { InventoryService, ProductState } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { openTestPort } from "@shop/rpc-server/testing/port";
import { expect, onTestFinished, test } from "vitest";

const repositoryRoot = join(import.meta.dirname, "../..");
const guide = readFileSync(join(repositoryRoot, "docs/other-languages.md"), "utf8");

/** The commands of the guide for a language. */
function commandsFor(language: string): string {
  return new RegExp(`^\`\`\`sh ${language}\\n(.*?)^\`\`\`$`, "ms").exec(guide)![1]!;
}

test.each(["go", "python"])("the client that the guide generates for %s calls a server", async (language) => {
  const asked: string[] = [];
  const { port } = await openTestPort({
    services: [InventoryService],
    hosted: () => (router) =>
      router.service(InventoryService, {
        listProducts({ category, pageSize }) {
          asked.push(`${pageSize} of ${category}`);
          return { products: ["Kettle", "Tässchen"].map((name) => ({ name, state: ProductState.ACTIVE })) };
        },
      }),
  });
  const client = mkdtempSync(join(tmpdir(), `shop-${language}-`));
  onTestFinished(() => rmSync(client, { recursive: true, force: true }));
  const programs = join(client, "programs");
  const { stdout } = await promisify(execFile)("bash", ["-euc", commandsFor(language)], {
    cwd: repositoryRoot,
    maxBuffer: 64 * 1024 * 1024,
    env: {
      ...process.env,
      CLIENT: client,
      SHOP: `http://127.0.0.1:${port}`,
      GOBIN: programs,
      PATH: [programs, join(repositoryRoot, "node_modules/.bin"), process.env.PATH].join(delimiter),
    },
  });
  expect(stdout.trim().split("\n").slice(-2)).toEqual(["Kettle", "Tässchen"]);
  expect(asked).toEqual(["3 of Coffee"]);
});
