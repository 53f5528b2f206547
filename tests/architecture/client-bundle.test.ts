import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import * as vite from "vite";
import { expect, test } from "vitest";
import { repositoryRoot } from "../../tools/src/repository-root.ts";

const entry = join(repositoryRoot, "client/src/index.ts");

/** The size in the client's README, in kB of 1,000 bytes. */
function documentedSize(): number {
  const readme = readFileSync(join(repositoryRoot, "client/README.md"), "utf8");
  return Number(/(\d+) kB after gzip/.exec(readme)?.[1]);
}

const bundlers: Readonly<Record<string, () => Promise<string>>> = {
  esbuild: async () => {
    const { outputFiles, warnings } = await esbuild.build({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      write: false,
      platform: "browser",
      format: "esm",
      logLevel: "silent",
    });
    expect(warnings).toEqual([]);
    return outputFiles[0]!.text;
  },
  Vite: async () => {
    const built = await vite.build({
      root: repositoryRoot,
      configFile: false,
      logLevel: "silent",
      build: { write: false, rolldownOptions: { input: entry, preserveEntrySignatures: "strict" } },
    });
    const { output } = built as Exclude<typeof built, unknown[] | { close(): unknown }>;
    expect(output).toHaveLength(1);
    // Vite's placeholder for modules that only Node has.
    expect(output[0].moduleIds.filter((id) => id.includes("browser-external"))).toEqual([]);
    return output[0].code;
  },
};

test.for(Object.keys(bundlers))("%s bundles the client for browsers, no larger than its README says", async (name) => {
  const code = await bundlers[name]!();
  expect(code).toContain("createShop");
  expect(code).not.toMatch(/from\s*["']|\brequire\(/);
  const size = gzipSync(code).length / 1_000;
  const whatToDo =
    `the client has ${size} kB after gzip. An import may have added code that a page does not need: look for it first. ` +
    `If the contracts have grown, write ${Math.ceil(size)} kB in client/README.md ("kB after gzip").`;
  expect(size, whatToDo).toBeLessThanOrEqual(documentedSize());
});
