/** The parts of a package.json that are used here. */
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

/** The folder of compiled files in a published package; in the repository the sources are in src/. */
export const compiledFolder = "dist";

/**
 * The package.json of a published workspace: its exports point to JavaScript with declarations, those for tests are
 * omitted. Versions of our own packages are exact, since they are released together; those of others are ranges, so that an
 * application installs each of them once (two copies of @bufbuild/protobuf do not share their types).
 *
 * @param root manifest of the repository, with the fields that all packages share
 * @throws Error when the package is not complete, or needs one that is not published
 */
export function publishedManifest(
  manifest: Manifest,
  root: { readonly version: string; readonly license: string },
  published: ReadonlySet<string>,
): Record<string, unknown> {
  const { name, description, type, sideEffects, engines, exports = {}, dependencies = {}, publishConfig } = manifest;
  if (description === undefined) throw new Error(`${name} has no description in its package.json`);
  if (engines === undefined) throw new Error(`${name} does not state its Node version in its package.json ("engines")`);
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
        // Types of two copies of Connect differ, and its packages only fit each other at the same version.
        if (dependency.startsWith("@connectrpc/")) return [dependency, version];
        if (!dependency.startsWith("@shop/")) return [dependency, `^${version}`];
        if (published.has(dependency)) return [dependency, root.version];
        throw new Error(`${name} needs ${dependency}, which is not published (it has no "publishConfig")`);
      }),
    ),
    publishConfig,
  };
}

/** Whether an export points to a compiled file. */
export function isSource(file: string): boolean {
  return file.startsWith("./src/") && file.endsWith(".ts");
}

function compiledExport(file: string): string | { readonly types: string; readonly default: string } {
  if (!isSource(file)) return file;
  const source = file.slice("./src/".length, -".ts".length);
  return { types: `./${compiledFolder}/${source}.d.ts`, default: `./${compiledFolder}/${source}.js` };
}
