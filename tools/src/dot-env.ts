import { existsSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "./repository-root.ts";

/** Adds the variables of the repository's `.env`, where there is one, to those that are not set. */
export function loadDotEnv(): void {
  const file = join(repositoryRoot, ".env");
  if (existsSync(file)) process.loadEnvFile(file);
}
