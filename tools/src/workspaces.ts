import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

/** The part of a package.json that is used here. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The npm workspaces: each manifest by its folder from the root of the repository. */
export function workspaces(): ReadonlyMap<string, Manifest> {
  const { workspaces: patterns } = read<{ workspaces: readonly string[] }>("package.json");
  const manifests = patterns.flatMap((pattern) =>
    globSync(`${pattern}/package.json`, { cwd: repositoryRoot }).toSorted(),
  );
  return new Map(manifests.map((file) => [dirname(file), read<Manifest>(file)]));
}

/** The folders of workspaces and of their transitive dependencies, in the order of package.json. */
export function foldersNeededBy(...names: readonly string[]): readonly string[] {
  const all = workspaces();
  const byName = new Map([...all].map(([folder, manifest]) => [manifest.name, { folder, manifest }]));
  const needed = new Set(names);
  // The iteration includes elements that are added during it.
  for (const one of needed) {
    for (const dependency of Object.keys(byName.get(one)?.manifest.dependencies ?? {}))
      if (byName.has(dependency)) needed.add(dependency);
  }
  return [...all.keys()].filter((folder) => needed.has(all.get(folder)!.name));
}

function read<Content>(file: string): Content {
  return JSON.parse(readFileSync(join(repositoryRoot, file), "utf8")) as Content;
}
