/** The versions in a package.json, or in an entry of package-lock.json. */
export interface Versioned {
  version?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** Sets the version of one of our packages, and of its dependencies on ours. */
export function setVersion(manifest: Versioned, version: string): void {
  manifest.version = version;
  for (const dependencies of [manifest.dependencies, manifest.devDependencies])
    for (const name of Object.keys(dependencies ?? {})) if (name.startsWith("@shop/")) dependencies![name] = version;
}

/**
 * The changelog with the unreleased section turned into a version, below an empty unreleased section.
 * @throws Error when nothing is unreleased, or the version exists already
 */
export function releaseChangelog(changelog: string, version: string, date: string): string {
  if (changelog.includes(`## [${version}]`)) throw new Error(`CHANGELOG.md has ${version} already`);
  const unreleased = changelog.split("\n## [Unreleased]\n")[1]?.split("\n## [")[0] ?? "";
  if (!/^- /m.test(unreleased)) throw new Error("CHANGELOG.md has nothing under Unreleased");
  return changelog.replace("## [Unreleased]\n", `## [Unreleased]\n\n## [${version}] - ${date}\n`);
}

/** Whether a version comes after another one; both are of the form 1.2.3. */
export function isLater(version: string, other: string): boolean {
  const [one, two] = [version, other].map((text) => text.split(".").map(Number));
  const differs = one!.findIndex((part, index) => part !== two![index]);
  return differs !== -1 && one![differs]! > two![differs]!;
}
