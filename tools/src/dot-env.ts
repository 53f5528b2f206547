import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";
import { StartError } from "./start-error.ts";

/**
 * Sets unset variables from the repository's `.env`, if it exists.
 * @throws StartError when it can't be read
 */
export function loadDotEnv(): void {
  const file = join(repositoryRoot, ".env");
  if (!existsSync(file)) return;
  try {
    process.loadEnvFile(file);
  } catch (error) {
    throw new StartError(`${file} can't be read: ${(error as Error).message}`);
  }
}
