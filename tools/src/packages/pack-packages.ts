import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { outputOf } from "../check-run.ts";
import { repositoryRoot } from "../repository-root.ts";
import { compiledFolder, isSource, type Manifest, publishedManifest } from "./published-manifest.ts";

/** A published workspace, by its folder in the repository. */
export interface PublishedPackage {
  readonly folder: string;
  readonly manifest: Manifest;
}

/** A packed package. */
export interface PackedPackage {
  readonly name: string;
  /** Absolute. */
  readonly tarball: string;
}

/** Sources that are not published. */
const onlyForTests = ["**/*.test.ts", "**/testing/**", "**/testing.ts", "**/testdata/**"];

/** The published workspaces: those whose package.json has "publishConfig". They stay private in the repository. */
export function publishedPackages(): readonly PublishedPackage[] {
  const { workspaces } = readJson<{ workspaces: string[] }>(join(repositoryRoot, "package.json"));
  return globSync(workspaces, { cwd: repositoryRoot })
    .toSorted()
    .filter((folder) => existsSync(join(repositoryRoot, folder, "package.json")))
    .map((folder) => ({ folder, manifest: readJson<Manifest>(join(repositoryRoot, folder, "package.json")) }))
    .filter(({ manifest }) => manifest.publishConfig !== undefined);
}

/**
 * Compiles all published packages to JavaScript with declarations, in one run, and packs each of them into `folder`, which is
 * emptied first. The repository itself runs from the sources and needs none of this.
 * @throws Error with the output of the compiler or of npm
 */
export async function packPackages(folder: string): Promise<readonly PackedPackage[]> {
  const packages = publishedPackages();
  rmSync(folder, { recursive: true, force: true });
  const compiled = join(folder, "compiled");
  mkdirSync(compiled, { recursive: true });
  await compile(packages, compiled);
  const root = readJson<{ version: string; license: string }>(join(repositoryRoot, "package.json"));
  const names = new Set(packages.map(({ manifest }) => manifest.name));
  const packed: PackedPackage[] = [];
  for (const { folder: workspace, manifest } of packages) {
    const stage = join(folder, "staged", workspace);
    stagePackage(workspace, join(compiled, workspace, "src"), stage);
    writeJson(join(stage, "package.json"), publishedManifest(manifest, root, names));
    const output = await outputOf("npm", "pack", stage, "--pack-destination", folder, "--json", "--ignore-scripts");
    packed.push({ name: manifest.name, tarball: join(folder, tarballIn(output)) });
  }
  return packed;
}

/** One program: packages import each other's sources, as everywhere in the repository. */
async function compile(packages: readonly PublishedPackage[], into: string): Promise<void> {
  const config = join(into, "..", "tsconfig.json");
  writeJson(config, {
    extends: join(repositoryRoot, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      rewriteRelativeImportExtensions: true,
      rootDir: repositoryRoot,
      outDir: into,
      typeRoots: [join(repositoryRoot, "node_modules/@types")],
    },
    include: packages.map(({ folder }) => join(repositoryRoot, folder, "src")),
    exclude: packages.flatMap(({ folder }) => onlyForTests.map((glob) => join(repositoryRoot, folder, "src", glob))),
  });
  await outputOf("tsc", "--project", config, "--pretty", "false");
}

/** The compiled files, other files that are read at run time, the README and the licence. */
function stagePackage(workspace: string, compiled: string, stage: string): void {
  const source = join(repositoryRoot, workspace);
  cpSync(compiled, join(stage, compiledFolder), { recursive: true });
  for (const file of globSync("**/*.d.ts", { cwd: join(stage, compiledFolder) }))
    rewriteFile(join(stage, compiledFolder, file), withCompiledImports);
  for (const file of globSync("src/**/*.*", { cwd: source, exclude: onlyForTests })) {
    if (extname(file) === ".ts") continue;
    const target = join(stage, compiledFolder, file.slice("src/".length));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(join(source, file), target);
  }
  const { exports = {} } = readJson<Manifest>(join(source, "package.json"));
  for (const file of Object.values(exports).filter((target) => !isSource(target)))
    cpSync(join(source, file), join(stage, file));
  if (existsSync(join(source, "README.md"))) cpSync(join(source, "README.md"), join(stage, "README.md"));
  cpSync(join(repositoryRoot, "LICENSE"), join(stage, "LICENSE"));
}

/** The compiler rewrites imports in JavaScript, but not in declarations, where `./a.ts` would need the sources. */
function withCompiledImports(declarations: string): string {
  return declarations.replace(/((?:\bfrom|\bimport)\s*\(?\s*)(["'])(\.{1,2}\/[^"']*)\.ts\2/g, "$1$2$3.js$2");
}

function rewriteFile(file: string, rewrite: (text: string) => string): void {
  writeFileSync(file, rewrite(readFileSync(file, "utf8")));
}

/** npm prints one package as an array of one, or as an object by the package's name. */
function tarballIn(output: string): string {
  const answer = JSON.parse(output.slice(output.search(/[[{]/))) as Record<string, { filename: string }>;
  return Object.values(answer)[0]!.filename;
}

function readJson<Content>(file: string): Content {
  return JSON.parse(readFileSync(file, "utf8")) as Content;
}

function writeJson(file: string, content: unknown): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`);
}
