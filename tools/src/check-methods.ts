import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import { http } from "@shop/gen/google/api/annotations_pb";
import { Access, access } from "@shop/gen/shop/common/v1/access_pb";
import { serviceNames } from "@shop/topology";
import { servedBy } from "@shop/topology/contracts";
import type { CheckResult } from "./check-run.ts";
import { type MethodContracts, readMethodContracts } from "./method-contracts.ts";
import { repositoryRoot } from "./repository-root.ts";

/** The files around a service's methods. */
export interface ServiceFiles {
  /** The folder of the service, from the root of the repository. */
  readonly folder: string;
  readonly contracts: readonly MethodContracts[];
  readonly readme: string;
  /** The text of the tests beside its code. */
  readonly tests: string;
}

/**
 * Checks what each method needs besides its implementation, which the compiler checks: a contract with a case
 * that succeeds and, on the public port, an example; and a row in the README of its service.
 */
export async function checkMethods(): Promise<CheckResult> {
  const contracts = await readMethodContracts();
  let count = 0;
  const problems = serviceNames.flatMap((name) => {
    const folder = `services/${name}`;
    const read = (file: string) => readFileSync(join(repositoryRoot, file), "utf8");
    const tests = globSync(`${folder}/src/**/*.test.ts`, { cwd: repositoryRoot }).map(read).join("\n");
    const around = { folder, contracts, readme: read(`${folder}/README.md`), tests };
    return servedBy(name).flatMap((service) => {
      count += service.methods.length;
      return forgotten(service, around);
    });
  });
  return { ok: problems.length === 0, output: problems.join("\n"), note: `${count} methods` };
}

/** The missing parts of a service's methods: a line for each, with the file in which it is missing. */
export function forgotten(service: DescService, { folder, contracts, readme, tests }: ServiceFiles): readonly string[] {
  const contract = contracts.find((candidate) => candidate.service.typeName === service.typeName);
  const rows = readme.split("\n").filter((line) => line.startsWith("| `"));
  return service.methods.flatMap((method) => {
    const lacking = streamsRequests(method)
      ? testedBeside(method, folder, tests)
      : contract === undefined
        ? [`${folder}/contract/: no file has the contract of ${service.typeName}with ${method.localName}`]
        : promised(method, contract);
    const isNamed = rows.some((row) => new RegExp(`[\`.]${method.name}\``).test(row));
    if (isNamed) return lacking;
    return [
      ...lacking,
      `${folder}/README.md: the table of methods has no row | \`${method.name}\` | \`${routeOf(method)}\` | who |`,
    ];
  });
}

function promised(method: DescMethod, { file, methods }: MethodContracts): readonly string[] {
  const own = methods[method.localName];
  if (own === undefined) return [`${file}: ${method.localName} is missing`];
  const isPublic = !hasOption(method, access) || getOption(method, access) !== Access.INTERNAL;
  return [
    ...(own.cases.some(({ answers }) => answers !== undefined)
      ? []
      : [`${file}: ${method.localName} has no case with "answers", so no test shows that it works`]),
    ...(own.examples.length > 0 || !isPublic
      ? []
      : [`${file}: ${method.localName} has no example for the documentation`]),
  ];
}

/** A method that streams requests has neither REST nor a browser client, and so no cases: its own test has to name it. */
function testedBeside(method: DescMethod, folder: string, tests: string): readonly string[] {
  if (new RegExp(`\\b${method.localName}\\b`).test(tests)) return [];
  return [`${folder}/src/rpc/: no *.test.ts in ${folder}/src names ${method.localName}`];
}

function streamsRequests({ methodKind }: DescMethod): boolean {
  return methodKind === "client_streaming" || methodKind === "bidi_streaming";
}

function routeOf(method: DescMethod): string {
  if (!hasOption(method, http)) return "none";
  const { case: verb, value } = getOption(method, http).pattern;
  return typeof value === "string" ? `${verb!.toUpperCase()} ${value}` : `${value?.kind} ${value?.path}`;
}
