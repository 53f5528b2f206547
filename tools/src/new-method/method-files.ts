import { kebabCase } from "@shop/topology";

/** A unary method to add, with its spellings in files. */
export interface NewMethod {
  /** The folder of the service: `inventory`. */
  readonly folder: string;
  /** The proto service: `InventoryService`, with its package and the module of its generated code. */
  readonly service: string;
  readonly package: string;
  readonly module: string;
  /** `CountProducts` */
  readonly name: string;
  readonly verb: "GET" | "POST";
  /** `/products/{product_id}:count` */
  readonly path: string;
  readonly access: AccessRule;
}

export type AccessRule = "PUBLIC" | "AUTHENTICATED" | "ADMIN";

/** Words for the permitted callers: in the README, in a case of the contract, and in an example (undefined for an anonymous one). */
const words: Readonly<
  Record<AccessRule, { readonly row: string; readonly as: string; readonly exampleAs: string | undefined }>
> = {
  PUBLIC: { row: "anybody", as: "anonymous", exampleAs: undefined },
  AUTHENTICATED: { row: "the signed-in user", as: "customer", exampleAs: "shopper" },
  ADMIN: { row: "an administrator", as: "admin", exampleAs: "admin" },
};

/** The name of the function: `countProducts`. */
export function functionName({ name }: NewMethod): string {
  return name[0]!.toLowerCase() + name.slice(1);
}

/** The name of its file, without extension: `count-products`. */
export function fileName({ name }: NewMethod): string {
  return kebabCase(name);
}

function variablesOf({ path }: NewMethod): readonly string[] {
  return [...path.matchAll(/\{([a-z_]+)\}/g)].map(([, variable]) => variable!);
}

/** The proto file with the method at the end of its service, and its messages at the end of the file. */
export function addToProto(proto: string, method: NewMethod): string {
  const { service, name, verb, path, access } = method;
  const reads = verb === "GET" ? "    option idempotency_level = NO_SIDE_EFFECTS;\n" : "";
  const rule = verb === "GET" ? `{get: "${path}"}` : `{\n      post: "${path}"\n      body: "*"\n    }`;
  const rpc = `
  // ${name}: describe its effect, its errors, and whether it is safe to repeat.
  rpc ${name}(${name}Request) returns (${name}Response) {
    option (shop.common.v1.access) = ACCESS_${access};
${reads}    option (google.api.http) = ${rule};
  }
`;
  const fields = variablesOf(method).map(
    (variable, index) => `  // The id of the resource.
  string ${variable} = ${index + 1} [
    (buf.validate.field).string.pattern = "^[\\\\x21-\\\\x7e]{1,64}$",
    (shop.common.v1.pattern_message) = "must be 1 to 64 visible characters of ASCII"
  ];
`,
  );
  const request = fields.length === 0 ? "{}" : `{\n${fields.join("\n")}}`;
  const messages = `
// The request of ${name}.
message ${name}Request ${request}

// The response of ${name}.
message ${name}Response {}
`;
  const end = proto.indexOf("\n}\n", proto.indexOf(`service ${service} {`)) + 1;
  return `${proto.slice(0, end)}${rpc}${proto.slice(end)}${messages}`;
}

/** The contract with the guarantee of the method: that it answers. `step` is the position of its example in the sequence. */
export function addToContract(contract: string, method: NewMethod, step: number): string {
  const { verb, path, access } = method;
  const variables = variablesOf(method);
  const given = variables.map((variable) => `${camelCase(variable)}: "any"`).join(", ");
  const named = variables.map((variable) => `${variable}: "any"`).join(", ");
  const invalid = variables
    .slice(0, 1)
    .map((variable) => `${camelCase(variable)}: "x".repeat(65)`)
    .join();
  const rest = verb === "GET" ? "query" : "body";
  const taken = variables.length === 0 ? rest : `{ ${variables.join(", ")}, ...${rest} }`;
  const template = variables.length === 0 ? `"${path}"` : `\`${path.replaceAll("{", "${")}\``;
  const { exampleAs } = words[access];
  const as = exampleAs === undefined ? "" : `as: "${exampleAs}", `;
  const entry = `    ${functionName(method)}: {
      access: "${access}",
      rest: (${taken}) => ({ verb: "${verb}", path: ${template}, ${rest} }),
      invalid: { ${invalid} },
      cases: [{ as: "${words[access].as}", says: "answers", request: () => ({ ${given} }), answers: () => ({}) }],
      examples: [{ step: ${step}, name: "answers", summary: "Describe the request", ${as}request: { ${named} }, answer: {} }],
    },
`;
  return insertBefore(contract, /^ {2}\},\n\};$/m, entry);
}

/** The service's composition root, with the method among its implementations. */
export function addToService(root: string, method: NewMethod): string {
  const name = functionName(method);
  const registered = new RegExp(`(?<=\\.service\\(${method.service}, \\{\\n)`);
  const imported = insertBefore(
    root,
    /^import .* from "\.\/rpc\//m,
    `import { ${name} } from "./rpc/${fileName(method)}.ts";\n`,
  );
  return insertBefore(imported, registered, `${name}: ${name}(),\n`);
}

/** The README of the service, with the method below the last one of its table. */
export function addToReadme(readme: string, method: NewMethod): string {
  const { service, name, verb, path, access } = method;
  const rows = [...readme.matchAll(/^\| method \| REST \| who \|\n(?:\|.*\n)+/gm)][0]?.[0];
  if (rows === undefined) throw new Error(`services/${method.folder}/README.md has no table "| method | REST | who |"`);
  const prefix = rows.includes(`\`${service}.`) ? `${service}.` : "";
  return readme.replace(rows, `${rows}| \`${prefix}${name}\` | \`${verb} ${path}\` | ${words[access].row} |\n`);
}

/** The file of the method. */
export function implementation(method: NewMethod): string {
  const { package: proto, service, module, name } = method;
  return `import type { MethodImpl } from "@connectrpc/connect";
import type { ${service} } from "@shop/gen/${module}";

/** ${name} of ${proto}: describe its effect, its errors, and whether a retry is safe. */
export function ${functionName(method)}(): MethodImpl<typeof ${service}.method.${functionName(method)}> {
  return async () => ({});
}
`;
}

/** Its test, beside it. */
export function implementationTest(method: NewMethod): string {
  const { module, name } = method;
  const given = variablesOf(method)
    .map((variable) => `${camelCase(variable)}: "any"`)
    .join(", ");
  const message = given === "" ? "" : `, { ${given} }`;
  return `import { create } from "@bufbuild/protobuf";
import { ${name}RequestSchema } from "@shop/gen/${module}";
import { contextOf } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { ${functionName(method)} } from "./${fileName(method)}.ts";

test("${name} answers", async () => {
  const request = create(${name}RequestSchema${message});
  expect(await ${functionName(method)}()(request, contextOf({ kind: "anonymous" }))).toEqual({});
});
`;
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function insertBefore(text: string, place: RegExp, addition: string): string {
  const index = text.search(place);
  if (index === -1) throw new Error(`no place matches ${place}`);
  return text.slice(0, index) + addition + text.slice(index);
}
