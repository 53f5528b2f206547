import { stripTypeScriptTypes } from "node:module";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { damaged, mutants } from "./mutants.ts";

test.each(mutants)("the code to change exists: $name", (mutant) => {
  expect(() => stripTypeScriptTypes(damaged(mutant, resolve(import.meta.dirname, "../..")))).not.toThrow();
});
