import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Tests of Prometheus' rules, in the project `monitoring` and in files of that name, need its executables. */
const hasPrometheus = ["promtool", "prometheus"].every((name) => isOnPath(name));
if (!hasPrometheus) console.warn("tests of alerts are not run: Debian's package prometheus is not installed");

function isOnPath(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)));
}

/** Files in the order of their paths, except that files that kill processes come last in their project. */
class ResilienceLast extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLast = ({ moduleId }: TestSpecification) => Number(moduleId.includes("resilience"));
    return files.toSorted((a, b) => isLast(a) - isLast(b) || a.moduleId.localeCompare(b.moduleId));
  }
}

/**
 * Files that run in one process only, because forwarding from the gateway to the services does not affect them. Files that
 * can differ run in both topologies: every method in every protocol, authorization, errors, streams, attacks, faults, keys
 * and sign-outs.
 */
const allInOneOnly = [
  // Bodies of every kind, which the gateway forwards unread. Split runs bad-input, attacks/refusals, attacks/hostile-peers.
  "hostile-input",
  "openapi-fuzz",
  // Decided by orders and inventory over NATS in both topologies. Split runs race, and the fault runs of tests/resilience.
  "sell-out",
  // Commands and documents, which call methods that every-method-every-protocol calls; streams of requests through the gateway
  // are among the conformance cases.
  "catalogue",
  "admin-command",
  "seed",
  "readme",
  // A browser's handling of responses that watch, cors, security-headers and official-grpc-web check in both.
  "page",
].map((name) => `tests/e2e/${name}.e2e.test.ts`);

// The same journeys in both topologies. Each project starts its own shop and runs one file at a time, since the
// shop needs the other core, and since some files kill parts of it. The files share one set of modules:
// loading it for each file took a third of the time.
const endToEnd = (name: string, groupOrder: number, exclude: readonly string[] = []) => ({
  extends: true as const,
  test: {
    name,
    include: ["tests/e2e/**/*.e2e.test.ts"],
    exclude: [
      ...configDefaults.exclude,
      ...exclude,
      ...(hasPrometheus ? [] : ["tests/e2e/monitoring.resilience.e2e.test.ts"]),
    ],
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
    // Ends a hanging test, and asserts nothing: on a busy machine a correct test takes several times as long as alone.
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
          name: "monitoring",
          include: hasPrometheus ? ["tests/monitoring/**/*.test.ts"] : [],
          sequence: { groupOrder: 0 },
        },
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
      endToEnd("e2e-split", 3, allInOneOnly),
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
    ],
  },
});
