import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "./replace-file.ts";

/** What `<dataDir>/secrets.json` holds: a section for each part of the starter that generates secrets. */
export type Secrets = Readonly<Record<string, unknown>>;

/** @returns what is stored; empty when nothing is. */
export function readSecrets(dataDir: string): Secrets {
  try {
    return JSON.parse(readFileSync(secretsFile(dataDir), "utf8")) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return {};
  }
}

/** Replaces the file as a whole, readable for its owner only: a start that is killed leaves the old content or the new. */
export function writeSecrets(dataDir: string, secrets: Secrets): void {
  replaceFile(secretsFile(dataDir), `${JSON.stringify(secrets, null, 2)}\n`);
}

/** A section of the file; `generate` gets what is stored and completes it, and is written only if it adds something. */
export function storedSecrets<Section>(
  dataDir: string,
  name: string,
  complete: (stored: Section | undefined) => Section,
): Section {
  const secrets = readSecrets(dataDir);
  const stored = secrets[name] as Section | undefined;
  const completed = complete(stored);
  if (JSON.stringify(completed) !== JSON.stringify(stored)) writeSecrets(dataDir, { ...secrets, [name]: completed });
  return completed;
}

function secretsFile(dataDir: string): string {
  return join(dataDir, "secrets.json");
}
