import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { protocols } from "../e2e/clients.ts";
import { ownEnvironment } from "../setup/own-environment.ts";
import { copyRepository } from "./copy-repository.ts";

// Takes minutes: it checks the whole copy, TypeScript included, and starts its shop twice.

const name = "wishlists";
let copy: string;

/** The output of a command in the copy. @throws Error with it when the command fails */
function run(command: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: copy,
    encoding: "utf8",
    env: { ...ownEnvironment(), PATH: `${join(copy, "node_modules/.bin")}:${process.env.PATH}` },
  });
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout;
}

/** The full names of the tests of the copy that passed. @throws Error with the output when one failed, or none ran */
function passed(...args: readonly string[]): string[] {
  const report = join(copy, ".data/report.json");
  run("vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args);
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
    testResults: { assertionResults: { status: string; fullName: string }[] }[];
  };
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  return results.filter(({ status }) => status === "passed").map(({ fullName }) => fullName);
}

/** The files that differ from the last commit, as git lists them. */
function changes(): string[] {
  return run("git", "status", "--porcelain", "--untracked-files=normal").trimEnd().split("\n");
}

/** The files changed by the new service and a method of it, and by a method of an existing service. */
let byService: string[];
let byMethod: string[];

beforeAll(() => {
  copy = copyRepository();
  run("npm", "run", "new-service", name);
  run("npm", "run", "new-method", "--", name, "CountWishlists", "GET", "/wishlists:count", "PUBLIC");
  byService = changes();
  run("npm", "run", "new-method", "--", "inventory", "CountProducts", "GET", "/products:count", "ADMIN");
  byMethod = changes().filter((change) => !byService.includes(change));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

test("a new service is its own folder, its proto, generated files, and a line in topology and in all-in-one", () => {
  const generated = [
    ...[".env.example", "Dockerfile", "README.md", "compose.replicas.yaml", "compose.yaml"],
    ...["deploy/prometheus/prometheus.yaml", "deploy/prometheus/rules.yaml"],
    ...["docs/api.md", "docs/architecture.md", "docs/configuration.md"],
    ...["gen/openapi.json", "gen/src/shop/contracts.ts", "package-lock.json", "services/all-in-one/package.json"],
    "client/src/services.ts",
  ];
  const byHand = ["services/all-in-one/src/service.ts", "services/topology/src/topology.ts"];
  const added = [`gen/src/shop/${name}/`, `proto/shop/${name}/`, `services/${name}/`];
  expect(byService.toSorted()).toEqual(
    [...[...generated, ...byHand].map((file) => ` M ${file}`), ...added.map((folder) => `?? ${folder}`)].toSorted(),
  );
  const lines = run("git", "diff", "--numstat", "--", ...byHand)
    .trimEnd()
    .split("\n");
  expect(lines).toEqual(byHand.map((file) => `1\t0\t${file}`));
});

test("a new method of a service is six files, and generated files", () => {
  const byHand = [
    " M proto/shop/inventory/v1/inventory_service.proto",
    " M services/inventory/README.md",
    " M services/inventory/contract/inventory.ts",
    " M services/inventory/src/service.ts",
    "?? services/inventory/src/rpc/count-products.test.ts",
    "?? services/inventory/src/rpc/count-products.ts",
  ];
  const generated = [" M gen/src/shop/inventory/v1/inventory_service_pb.ts"];
  expect(byMethod.toSorted()).toEqual([...generated, ...byHand].toSorted());
});

test("npm run check passes with them", () => {
  run("npm", "run", "check");
});

test("their own tests, and those that compare services, contracts and documents, pass", () => {
  expect(passed("--project=unit", "--project=integration", `services/${name}`)).toHaveLength(5);
  expect(passed("--project=unit", "services/inventory/src/rpc/count-products")).toHaveLength(1);
  const compared = passed("--project=architecture", "topology", "contracts", "environment");
  expect(compared).toContainEqual(expect.stringMatching(/WishlistService.+ declares an access rule$/));
});

test.each(["e2e-all-in-one", "e2e-split"])("they answer in every protocol through the gateway of %s", (project) => {
  const file = "tests/e2e/every-method-every-protocol.e2e.test.ts";
  const ran = passed(`--project=${project}`, file, "--testNamePattern=WishlistService|CountProducts");
  for (const answer of [
    "WishlistService.+ creates one",
    "/CountWishlists as anonymous answers",
    "/CountProducts as admin answers",
  ]) {
    const title = new RegExp(`^on the public port with (.+?) \\S*${answer}`);
    const answered = ran.map((test) => title.exec(test)?.[1]).filter(Boolean);
    expect(new Set(answered), answer).toEqual(new Set(Object.keys(protocols)));
  }
});
