/** What is used here of a package.json. */
export interface Manifest {
  readonly name: string;
  readonly description?: string;
  readonly version: string;
  readonly private?: boolean;
  readonly type?: string;
  readonly sideEffects?: boolean;
  readonly engines?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly publishConfig?: Readonly<Record<string, unknown>>;
}

/** Where compiled files are in a published package; in the repository they are in src/. */
export const compiledFolder = "dist";

/**
 * The package.json under which a workspace is published: its exports lead to JavaScript with declarations, those for tests are left
 * out. Versions of our own packages are exact, since they are released together; those of others are ranges, so that an application
 * gets each of them once (two copies of @bufbuild/protobuf do not share their types).
 *
 * @param root of the repository, which has what all packages have in common
 * @throws Error when the package is not complete, or needs one that is not published
 */
export function publishedManifest(
  manifest: Manifest,
  root: { readonly version: string; readonly license: string },
  published: ReadonlySet<string>,
): Record<string, unknown> {
  const { name, description, type, sideEffects, engines, exports = {}, dependencies = {}, publishConfig } = manifest;
  if (description === undefined) throw new Error(`${name} has no description in its package.json`);
  if (engines === undefined)
    throw new Error(`${name} does not say in its package.json which Node it needs ("engines")`);
  return {
    name,
    version: root.version,
    description,
    license: root.license,
    type,
    sideEffects,
    engines,
    exports: Object.fromEntries(
      Object.entries(exports)
        .filter(([path]) => !path.startsWith("./testing"))
        .map(([path, file]) => [path, compiledExport(file)]),
    ),
    files: [compiledFolder, ...Object.values(exports).filter((file) => !isSource(file))],
    dependencies: Object.fromEntries(
      Object.entries(dependencies).map(([dependency, version]) => {
        if (!dependency.startsWith("@shop/")) return [dependency, `^${version}`];
        if (published.has(dependency)) return [dependency, root.version];
        throw new Error(`${name} needs ${dependency}, which is not published (it has no "publishConfig")`);
      }),
    ),
    publishConfig,
  };
}

/** Whether an export leads to what is compiled. */
export function isSource(file: string): boolean {
  return file.startsWith("./src/") && file.endsWith(".ts");
}

function compiledExport(file: string): string | { readonly types: string; readonly default: string } {
  if (!isSource(file)) return file;
  const source = file.slice("./src/".length, -".ts".length);
  return { types: `./${compiledFolder}/${source}.d.ts`, default: `./${compiledFolder}/${source}.js` };
}
