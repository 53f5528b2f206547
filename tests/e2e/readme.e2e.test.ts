import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { readmeExamples } from "./readme-examples.ts";
import { shop } from "./shopping.ts";

// Those for a page run in page.e2e.test.ts.
const examples = ["README.md", "client/README.md"].flatMap(readmeExamples).filter(({ isPage }) => !isPage);

test("there are examples to run", () => expect(examples.length).toBeGreaterThanOrEqual(4));

test.for(examples)("$place does what it says", async ({ code, prints }) => {
  const node = spawn(process.execPath, ["--input-type=module-typescript", "-"], {
    cwd: join(import.meta.dirname, "../.."),
    stdio: ["pipe", "pipe", "pipe"],
  });
  node.stdin.end(code.replaceAll("http://127.0.0.1:8080", shop.url));
  const [printed, complaints] = await Promise.all([text(node.stdout), text(node.stderr), once(node, "close")]);
  expect(complaints).toBe("");
  expect(node.exitCode).toBe(0);
  expect(printed).toBe(prints);
});
