import { workspaces } from "../workspaces.ts";

/** The versions that the services have of these packages. @throws Error naming one that none of them has */
export function dependenciesOf(names: readonly string[]): Record<string, string> {
  const manifests = [...workspaces()]
    .filter(([folder]) => folder.startsWith("services/"))
    .map(([, manifest]) => manifest);
  return Object.fromEntries(
    names.map((name) => {
      const version = manifests.map(({ dependencies }) => dependencies?.[name]).find((known) => known !== undefined);
      if (version === undefined) throw new Error(`no service depends on ${name}`);
      return [name, version];
    }),
  );
}
