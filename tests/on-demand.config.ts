import { defineConfig } from "vitest/config";

// `npm run test:packages`, `test:stubs` and `test:new-service`: separate from `npm test`, since the first two install compilers and
// versions of Node from registries, and the last one checks, and starts, a copy of the repository for minutes.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["{packages,stubs,new-service}/*.test.ts"],
    testTimeout: 900_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
  },
});
