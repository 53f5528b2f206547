import { defineConfig } from "vitest/config";

// `npm run test:packages` and `npm run test:stubs`: separate from `npm test`, since they install compilers and versions of
// Node from registries.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["{packages,stubs}/*.test.ts"],
    testTimeout: 300_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
  },
});
