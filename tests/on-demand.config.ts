import { defineConfig } from "vitest/config";

// `npm run test:packages`, `test:stubs`, `test:new-service` and `test:containers`: separate from `npm test`, since the first two install
// compilers and versions of Node from registries, and the others check, start or build the shop for minutes.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["{packages,stubs,new-service,containers}/*.test.ts"],
    testTimeout: 900_000,
    hookTimeout: 600_000,
    maxWorkers: 1,
  },
});
