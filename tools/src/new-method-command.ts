import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { outputOf } from "./check-run.ts";
import {
  type AccessRule,
  addToContract,
  addToProto,
  addToReadme,
  addToService,
  fileName,
  functionName,
  implementation,
  implementationTest,
  type NewMethod,
} from "./new-method/method-files.ts";
import { repositoryRoot } from "./repository-root.ts";
import { isReservedWord } from "./reserved-words.ts";
import { showHelp } from "./show-help.ts";
import { orExit, StartError } from "./start-error.ts";
import { methodWithRoute } from "./taken-routes.ts";

// `npm run new-method`: writes the files of a method, which then answers in every protocol. Its implementation is left to
// write.
const usage = `npm run new-method -- <service> <Method> <GET|POST> <path> [PUBLIC|AUTHENTICATED|ADMIN]
  such as: npm run new-method -- inventory CountProducts GET /products:count ADMIN`;
const args = process.argv.slice(2);
showHelp(args, usage);
process.chdir(repositoryRoot);
const { method, proto, contract } = orExit(() => readMethod(args));
const service = `services/${method.folder}`;
const implemented = `${service}/src/rpc/${fileName(method)}`;
const touched = [
  proto,
  contract,
  `${implemented}.ts`,
  `${implemented}.test.ts`,
  `${service}/src/service.ts`,
  `${service}/README.md`,
];

change(proto, (text) => addToProto(text, method));
change(contract, (text) => addToContract(text, method, freeStep()));
change(`${service}/src/service.ts`, (text) => addToService(text, method));
change(`${service}/README.md`, (text) => addToReadme(text, method));
writeFileSync(`${implemented}.ts`, implementation(method));
writeFileSync(`${implemented}.test.ts`, implementationTest(method));
await run("buf", "format", "--write", proto);
await run("biome", "check", "--write", ...touched.filter((file) => file.endsWith(".ts")));
await run("npm", "run", "generate");
console.log(`${method.service}.${method.name} answers in every protocol, with an empty message. Implement it in:`);
for (const file of touched) console.log(`  ${file}`);
console.log("npm run generate after each change of the contracts; npm run check says what is missing.");

/** @throws StartError when the arguments name no service, or a method that can't be added to it */
function readMethod([folder = "", name = "", verb = "", path = "", access = "ADMIN", ...rest]: readonly string[]) {
  const refuse = (reason: string) => new StartError(`${reason}; usage:\n${usage}`);
  if (folder === "" || rest.length > 0) throw new StartError(usage);
  if (!/^[A-Z][A-Za-z0-9]+$/.test(name)) throw refuse(`"${name}" is no name of a method, such as CountProducts`);
  if (!/^(GET|POST)$/.test(verb)) throw refuse(`"${verb}" is neither GET nor POST`);
  if (!/^(\/([a-z][\w-]*|\{[a-z_]+\}))+(:[a-zA-Z]+)?$/.test(path))
    throw refuse(`"${path}" is no path, such as /products/{product_id} or /products:count`);
  if (!/^(PUBLIC|AUTHENTICATED|ADMIN)$/.test(access))
    throw refuse(`"${access}" is none of PUBLIC, AUTHENTICATED, ADMIN`);
  const taken = methodWithRoute(verb, path);
  if (taken !== undefined) throw new StartError(`${verb} ${path} is already the route of ${taken}`);
  const [proto] = globSync(`proto/shop/${folder}/v1/*_service.proto`);
  if (proto === undefined) throw new StartError(`proto/shop/${folder}/v1 has no service; usage:\n${usage}`);
  const text = readFileSync(proto, "utf8");
  const service = /^service (\w+) \{/m.exec(text)![1]!;
  if (new RegExp(`\\b${name}(Request|Response)?\\b`).test(text)) throw new StartError(`${proto} has ${name} already`);
  const contract = globSync(`services/${folder}/contract/*.ts`).find((file) =>
    readFileSync(file, "utf8").includes(`ServiceContract<typeof ${service},`),
  );
  if (contract === undefined) throw new StartError(`services/${folder}/contract has no contract of ${service}`);
  const method: NewMethod = {
    folder,
    service,
    package: `shop.${folder}.v1`,
    module: proto.replace(/^proto\//, "").replace(/\.proto$/, "_pb"),
    name,
    verb: verb as NewMethod["verb"],
    path,
    access: access as AccessRule,
  };
  if (isReservedWord(functionName(method))) throw new StartError(`${name} would be a function with a reserved name`);
  const file = `services/${folder}/src/rpc/${fileName(method)}.ts`;
  if (existsSync(file))
    throw new StartError(`${file} exists already, without ${functionName(method)} in the contracts`);
  return { method, proto, contract };
}

/**
 * The position of an example in the sequence of all services' examples: after products and orders exist, and before the
 * shopper signs out (services/users/contract).
 */
function freeStep(): number {
  const taken = globSync("services/*/contract/*.ts").flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\bstep: (\d+),/g)].map(([, step]) => Number(step)),
  );
  let step = 575;
  while (taken.includes(step)) step += 1;
  return step;
}

function change(file: string, edit: (text: string) => string): void {
  writeFileSync(file, edit(readFileSync(file, "utf8")));
}

async function run(command: string, ...rest: readonly string[]): Promise<void> {
  await outputOf(command, ...rest).catch((error: Error) => {
    console.error(error.message);
    console.error(`\nThe method is incomplete. These files have been written or changed:\n  ${touched.join("\n  ")}`);
    process.exit(1);
  });
}
