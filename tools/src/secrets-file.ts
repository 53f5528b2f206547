import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "./replace-file.ts";

/** The content of `<dataDir>/secrets.json`: a section for each part of the starter that generates secrets. */
export type Secrets = Readonly<Record<string, unknown>>;

/** @returns the stored secrets; empty without a file. */
export function readSecrets(dataDir: string): Secrets {
  try {
    return JSON.parse(readFileSync(secretsFile(dataDir), "utf8")) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return {};
  }
}

/** Replaces the file atomically, readable by its owner only. */
export function writeSecrets(dataDir: string, secrets: Secrets): void {
  replaceFile(secretsFile(dataDir), `${JSON.stringify(secrets, null, 2)}\n`);
}

/** A section of the file; `generate` gets the stored secrets and completes them; the result is written only if it differs. */
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
