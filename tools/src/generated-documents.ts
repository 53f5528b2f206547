import { configurationPage, environmentExample } from "./settings-documents.ts";

/** The documents that are generated, each text by its path from the root of the repository. */
export async function generateDocuments(): Promise<ReadonlyMap<string, string>> {
  return new Map([
    ["docs/configuration.md", configurationPage()],
    [".env.example", environmentExample()],
  ]);
}
