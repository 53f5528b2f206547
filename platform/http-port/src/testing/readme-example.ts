import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/**
 * Loads the first TypeScript example of a package's README. Its import of the package resolves to the package's entry, as for
 * users.
 */
export async function readmeExample<Example>(
  packageName: string,
  sourceFolder: string,
  entry = "./index.ts",
): Promise<Example> {
  const readme = readFileSync(join(sourceFolder, "../README.md"), "utf8");
  const example = /```ts\n(.*?)```/s.exec(readme)![1]!;
  const file = join(sourceFolder, `readme-example-${process.pid}.ts`);
  writeFileSync(file, example.replace(JSON.stringify(packageName), JSON.stringify(entry)));
  onTestFinished(() => rmSync(file));
  return await import(file);
}
