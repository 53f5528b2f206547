import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reachableServices } from "@shop/auth";
import { gateway } from "@shop/gateway";
import { type Example, openApiDocument, type Reason } from "@shop/openapi";
import { commentOf, readContracts } from "./contracts.ts";
import { readMethodContracts } from "./method-contracts.ts";
import { repositoryRoot } from "./repository-root.ts";

/** The path of the public port's description, from the root of the repository. */
export const openApiFile = "gen/openapi.json";

/**
 * Describes the public port, from the proto files, the examples and docs/errors.md, with the image that buf writes to
 * `scratch`.
 */
export async function generateOpenApi(scratch: string): Promise<string> {
  const registry = await readContracts(scratch);
  const { version, description, license } = readJson<{ version: string; description: string; license: string }>(
    "package.json",
  );
  const document = openApiDocument({
    info: {
      title: "Shop",
      version,
      summary: description,
      description: introduction,
      license: { name: license, identifier: license },
    },
    services: reachableServices(
      gateway.exposes!.map(({ typeName }) => registry.getService(typeName)!),
      true,
    ),
    commentOf,
    reasons: documentedReasons(),
    examples: await examplesOfContracts(),
  });
  return `${JSON.stringify(document, null, 2)}\n`;
}

const introduction = `Everything here can be called by Connect, gRPC and gRPC-Web as well, on the same port.

Sign in by \`POST /authenticate\` and send the access token along: \`Authorization: Bearer <access_token>\`. On the page at
\`/docs\`, executing that operation signs the page in.

A request can leave out whatever is not required; an answer has every field, but for messages that are not there. Integers of 64 bits are text. Fields and parameters that are unknown are refused.

What makes something honours \`Idempotency-Key\`: made again under the same key it is made once. Operations that do not list that
header, such as signing in, refreshing, reading and changing, ignore it.`;

/** The services' examples, by the method's full name; `step` is their order. */
async function examplesOfContracts(): Promise<Map<string, Example[]>> {
  const examples = new Map<string, Example[]>();
  for (const { service, methods } of await readMethodContracts()) {
    for (const [name, { examples: own }] of Object.entries(methods)) {
      const { parent, name: method } = service.method[name]!;
      if (own.length > 0)
        examples.set(
          `${parent.typeName}.${method}`,
          own.toSorted((one, other) => one.step - other.step),
        );
    }
  }
  return examples;
}

/** The table of docs/errors.md, which a test compares with the source. */
function documentedReasons(): Map<string, Reason> {
  const rows = readFileSync(join(repositoryRoot, "docs/errors.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return new Map(
    rows.map(([, reason, , status, , when]) => [reason!.replaceAll("`", ""), { status: Number(status), when: when! }]),
  );
}

function readJson<Content>(file: string): Content {
  return JSON.parse(readFileSync(join(repositoryRoot, file), "utf8")) as Content;
}
