import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "./replace-file.ts";

/** 256 bits in base64url. */
function randomSecret(bytes = 32): string {
  return randomBytes(bytes).toString("base64url");
}

/** What `<dataDir>/secrets.json` keeps; only its owner can read it. */
interface KeptSecrets {
  readonly tokenKeysSecret?: string;
  /** Made up for the first admin, until it was shown. */
  readonly adminPassword?: string;
}

/** The secret that seals the keys of access tokens: TOKEN_KEYS_SECRET, else the one made up at the first start. */
export function tokenKeysSecret(dataDir: string, env: NodeJS.ProcessEnv): string {
  if (env.TOKEN_KEYS_SECRET) return env.TOKEN_KEYS_SECRET;
  const kept = readSecrets(dataDir);
  const tokenKeysSecret = kept.tokenKeysSecret ?? randomSecret();
  if (kept.tokenKeysSecret === undefined) keepSecrets(dataDir, { ...kept, tokenKeysSecret });
  return tokenKeysSecret;
}

/**
 * A password made up for the first admin. The same one at every start until it was shown: a start that is cut short must
 * not leave an admin whose password nobody has seen.
 */
export function adminPasswordToShow(dataDir: string): { readonly password: string; wasShown(): void } {
  const kept = readSecrets(dataDir);
  const password = kept.adminPassword ?? randomSecret(15);
  if (kept.adminPassword === undefined) keepSecrets(dataDir, { ...kept, adminPassword: password });
  return {
    password,
    wasShown() {
      const { adminPassword: _shown, ...rest } = readSecrets(dataDir);
      keepSecrets(dataDir, rest);
    },
  };
}

function readSecrets(dataDir: string): KeptSecrets {
  try {
    return JSON.parse(readFileSync(join(dataDir, "secrets.json"), "utf8"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return {};
  }
}

function keepSecrets(dataDir: string, secrets: KeptSecrets): void {
  replaceFile(join(dataDir, "secrets.json"), `${JSON.stringify(secrets)}\n`, 0o600);
}
