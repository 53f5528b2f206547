import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { readmeExamples } from "./readme-examples.ts";
import { shop } from "./shopping.ts";

const repositoryRoot = join(import.meta.dirname, "../..");
const run = promisify(execFile);

// Examples for browsers run in page.e2e.test.ts.
const examples = ["docs/calling.md", "client/README.md"].flatMap(readmeExamples).filter(({ isPage }) => !isPage);

test("the documents have examples", () => expect(examples.length).toBeGreaterThanOrEqual(4));

test.for(examples)("the example of $place prints what the document says", async ({ code, prints }) => {
  const node = spawn(process.execPath, ["--input-type=module-typescript", "-"], {
    cwd: repositoryRoot,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, SHOP: shop.url },
  });
  node.stdin.end(code);
  const [printed, complaints] = await Promise.all([text(node.stdout), text(node.stderr), once(node, "close")]);
  expect(complaints).toBe("");
  expect(node.exitCode).toBe(0);
  expect(printed).toBe(prints);
});

describe("examples/shop.sh", () => {
  test("is the program in the README, and the README has at most 120 lines", () => {
    const readme = readFileSync(join(repositoryRoot, "README.md"), "utf8");
    const [, program] = readFileSync(join(repositoryRoot, "examples/shop.sh"), "utf8").split("set -euo pipefail\n\n");
    expect(readme).toContain(`\`\`\`sh\n${program}\`\`\`\n`);
    expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(120);
  });

  test("shops from registering to a confirmed order", async () => {
    const env = { ...process.env, SHOP: shop.url };
    const { stdout, stderr } = await run("bash", ["examples/shop.sh"], { cwd: repositoryRoot, env });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^\S+\norder \S+ of product \S+: ORDER_STATUS_CONFIRMED\n$/);
  });

  test("fails when the shop can't be reached", async () => {
    await expect(
      run("bash", ["examples/shop.sh", "http://127.0.0.1:1"], { cwd: repositoryRoot }),
    ).rejects.toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("curl: (7)"),
    });
  });
});
