import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { outputOf } from "./check-run.ts";
import { type NewService, readNewService } from "./new-service/names.ts";
import { protoFiles } from "./new-service/proto-files.ts";
import { sourceFiles } from "./new-service/source-files.ts";
import { repositoryRoot } from "./repository-root.ts";
import { showHelp } from "./show-help.ts";

// `npm run new-service wishlists`: a service with one method, a collection, an event and tests, which runs unchanged.
const usage = "npm run new-service <name>, the plural of what the service owns: npm run new-service wishlists";
const args = process.argv.slice(2);
showHelp(args, usage);
process.chdir(repositoryRoot);
const [name, ...rest] = args;
if (name === undefined || rest.length > 0 || name.startsWith("-")) {
  console.error(usage);
  process.exit(2);
}
try {
  const service = readNewService(name);
  for (const [file, text] of Object.entries({ ...protoFiles(service), ...sourceFiles(service) })) write(file, text);
  addTo("services/topology/src/topology.ts", "} as const satisfies", topologyLine(service));
  addTo("services/all-in-one/src/service.ts", "", `export { ${name} } from "@shop/${name}";\n`);
  link(service);
  await outputOf("biome", "check", "--write", `services/${name}`, "services/all-in-one/src");
  await outputOf("buf", "format", "--write", "proto", "--path", `proto/shop/${name}`);
  // Its manifest has to be in the lock before turbo runs, and generated manifests of other packages after that.
  await lock();
  await outputOf("npm", "run", "generate");
  await lock();
  console.log(whatNext(service));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

function topologyLine({ name, port, metricsOffset }: NewService): string {
  return `  ${name}: { port: ${port}, metricsOffset: ${metricsOffset}, owns: "${name}", consumes: ["shop.users.v1.UserDeleted"] },\n`;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(repositoryRoot, file)), { recursive: true });
  writeFileSync(join(repositoryRoot, file), text, { flag: "wx" });
}

/** Adds a line before another one, or at the end. @throws Error when that one does not exist */
function addTo(file: string, before: string, line: string): void {
  const path = join(repositoryRoot, file);
  const text = readFileSync(path, "utf8");
  const at = before === "" ? text.length : text.indexOf(before);
  if (at < 0) throw new Error(`${file} has no line that starts with ${before}`);
  writeFileSync(path, text.slice(0, at) + line + text.slice(at));
}

/** Links a workspace as `npm install` does. */
function link({ name }: NewService): void {
  const path = join(repositoryRoot, "node_modules/@shop", name);
  // A link to nowhere is left of a service that was undone.
  rmSync(path, { force: true });
  symlinkSync(join("../../services", name), path);
}

async function lock(): Promise<void> {
  await outputOf(
    "npm",
    "install",
    "--package-lock-only",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
  );
}

function whatNext({ name, port }: NewService): string {
  return `services/${name} answers on port ${port} and through the gateway, in every protocol: try it with npm start.

- services/topology/src/topology.ts: what it owns, calls and consumes stands in its line.
- proto/shop/${name}/v1: its methods and events. Run npm run generate after each change.
- services/${name}: its code, its README, and contract/ with what is promised of each method.

Then npm run check, and npx vitest run --project unit --project integration services/${name}.`;
}
