import { randomBytes } from "node:crypto";
import { readSecrets, storedSecrets, writeSecrets } from "./secrets-file.ts";

/** 256 bits in base64url. */
function randomSecret(bytes = 32): string {
  return randomBytes(bytes).toString("base64url");
}

/** The secret that seals the keys of access tokens: TOKEN_KEYS_SECRET, else the one generated at the first start. */
export function tokenKeysSecret(dataDir: string, env: NodeJS.ProcessEnv): string {
  return (
    env.TOKEN_KEYS_SECRET || storedSecrets<string>(dataDir, "tokenKeysSecret", (stored) => stored ?? randomSecret())
  );
}

/**
 * A password generated for the first administrator. The same one at every start until it was shown: an interrupted start must
 * not leave an administrator with an unknown password.
 */
export function adminPasswordToShow(dataDir: string): { readonly password: string; wasShown(): void } {
  const password = storedSecrets<string>(dataDir, "adminPassword", (stored) => stored ?? randomSecret(15));
  return {
    password,
    wasShown() {
      const { adminPassword: _shown, ...rest } = readSecrets(dataDir);
      writeSecrets(dataDir, rest);
    },
  };
}
