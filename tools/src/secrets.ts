import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** 256 bits in base64url. */
export function randomSecret(bytes = 32): string {
  return randomBytes(bytes).toString("base64url");
}

/**
 * The secret that services prove themselves to each other with: INTERNAL_SECRET of the environment, else the one made up
 * at the first start and kept in `<dataDir>/secrets.json`, which only its owner can read.
 */
export function internalSecret(dataDir: string, env: NodeJS.ProcessEnv): string {
  if (env.INTERNAL_SECRET) return env.INTERNAL_SECRET;
  const file = join(dataDir, "secrets.json");
  mkdirSync(dataDir, { recursive: true });
  try {
    const kept = (JSON.parse(readFileSync(file, "utf8")) as { internalSecret?: string }).internalSecret;
    if (kept) return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const secret = randomSecret();
  writeFileSync(file, `${JSON.stringify({ internalSecret: secret })}\n`, { mode: 0o600 });
  return secret;
}
