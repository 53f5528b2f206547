import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files in the order of their paths, but those that kill processes come last in their project. */
class ResilienceLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLast = ({ moduleId }: TestSpecification) => Number(moduleId.includes("resilience"));
    return files.toSorted((a, b) => isLast(a) - isLast(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

/**
 * What is left out of the split shape, since its way from the gateway to the services changes nothing about it. What differs is
 * tried in both: every method in every protocol, authorization, errors, streams, attacks, faults, keys and sign-outs.
 */
const oneShapeIsEnough = [
  // Bodies of every kind: the gateway forwards them unread. Split has bad-input, attacks/refusals, attacks/hostile-peers.
  "hostile-input",
  "openapi-fuzz",
  // Decided by orders and inventory over the bus in either shape. Split has race, and the fault runs of tests/resilience.
  "sell-out",
  // Commands and documents, which call methods that every-method-every-protocol calls; streams of requests through the gateway
  // are among the conformance cases.
  "catalogue",
  "admin-command",
  "seed",
  "readme",
  // What browsers make of answers that watch, cors, security-headers and official-grpc-web look at in both.
  "page",
].map((name) => `tests/e2e/${name}.e2e.test.ts`);

// The same journeys through both shapes of the shop. Each project starts a shop of its own; its files take turns, since the
// shop needs the other core, and since some of them kill parts of it. They share one set of modules:
// to load it for each file took a third of the time.
const endToEnd = (name: string, groupOrder: number, exclude: readonly string[] = []) => ({
  extends: true as const,
  test: {
    name,
    include: ["tests/e2e/**/*.e2e.test.ts"],
    exclude: [...configDefaults.exclude, ...exclude],
    globalSetup: ["tests/setup/shop.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    isolate: false,
    maxWorkers: 1,
    sequence: { groupOrder },
  },
});

export default defineConfig({
  test: {
    maxWorkers: 2,
    // Ends a test that hangs, and asserts nothing: on a busy machine a sound one takes several times what it takes alone.
    testTimeout: 20_000,
    // A shop drains before its servers stop.
    teardownTimeout: 90_000,
    sequence: { sequencer: ResilienceLast },
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "{client,examples,platform,services,gateway,tools,tests/{hostile-peers,resilience,setup}}/**/*.test.ts",
          ],
          exclude: [...configDefaults.exclude, "**/*.{integration,resilience}.test.ts"],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: "architecture", include: ["tests/architecture/**/*.test.ts"], sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "integration",
          include: ["{client,platform,services}/**/*.integration.test.ts"],
          globalSetup: ["tests/setup/servers.ts"],
          testTimeout: 20_000,
          hookTimeout: 30_000,
          sequence: { groupOrder: 1 },
        },
      },
      endToEnd("e2e-all-in-one", 2),
      endToEnd("e2e-split", 3, oneShapeIsEnough),
      {
        extends: true,
        test: {
          name: "protocols",
          include: ["tests/{conformance,forwarder}/**/*.test.ts"],
          testTimeout: 30_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 4 },
        },
      },
      {
        extends: true,
        test: {
          name: "resilience",
          include: ["tests/resilience/**/*.resilience.test.ts"],
          maxWorkers: 1,
          sequence: { groupOrder: 5 },
        },
      },
      {
        extends: true,
        test: {
          name: "new-service",
          include: ["tests/new-service/**/*.test.ts"],
          // It checks, and starts, a copy of the repository: minutes, on a busy machine.
          testTimeout: 900_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 6 },
        },
      },
    ],
  },
});
