import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isLater, releaseChangelog, setVersion, type Versioned } from "./packages/version.ts";
import { repositoryRoot } from "./repository-root.ts";
import { showHelp } from "./show-help.ts";

// `npm run set-version -- 0.2.0`: sets the version of all packages, which are released together, and of the changelog.
const usage = "npm run set-version -- <version> gives all packages the version, and releases it in CHANGELOG.md";
const args = process.argv.slice(2);
showHelp(args, usage);
const [version = "", ...rest] = args;
if (!/^\d+\.\d+\.\d+$/.test(version) || rest.length > 0) {
  console.error(usage);
  process.exit(2);
}
process.chdir(repositoryRoot);
const root = readJson<Versioned & { workspaces: string[] }>("package.json");
if (!isLater(version, root.version!)) {
  console.error(`${version} does not come after ${root.version}`);
  process.exit(1);
}
const changelog = releaseChangelog(
  readFileSync("CHANGELOG.md", "utf8"),
  version,
  new Date().toISOString().slice(0, 10),
);
writeFileSync("CHANGELOG.md", changelog);
const workspaces = globSync(root.workspaces.map((folder) => join(folder, "package.json")));
for (const file of ["package.json", ...workspaces])
  changeJson<Versioned>(file, (manifest) => setVersion(manifest, version));
// npm would request every package of the lock from the registry.
changeJson<{ version: string; packages: Record<string, Versioned & { link?: boolean }> }>(
  "package-lock.json",
  (lock) => {
    lock.version = version;
    for (const [folder, entry] of Object.entries(lock.packages))
      if (!folder.includes("node_modules/")) setVersion(entry, version);
  },
);
console.log(`${workspaces.length} packages have version ${version}; npm run generate updates gen/openapi.json`);

function readJson<Content>(file: string): Content {
  return JSON.parse(readFileSync(file, "utf8")) as Content;
}

function changeJson<Content>(file: string, change: (content: Content) => void): void {
  const content = readJson<Content>(file);
  change(content);
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}
