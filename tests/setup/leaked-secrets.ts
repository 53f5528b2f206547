/** Patterns of secrets: tokens, service credentials, password hashes. */
const patterns: Readonly<Record<string, RegExp>> = {
  "a token": /eyJ[\w-]{8,}\.[\w-]+\.[\w-]+/,
  // 48 bytes in base64url; a hexadecimal hash has the same length.
  "a refresh token": /(?<![\w-])(?![0-9a-f]{64})[\w-]{64}(?![\w-])/,
  "an Authorization header": /\b(bearer|basic)\s+[\w.~+/=-]{6,}/i,
  "the hash of a password": /\$argon2(i|d|id)\$/,
};

/** The positions of secrets in a log, as `line 7: a token`: never the secret itself, since a report is a log, too. */
export function leakedSecrets(log: string, secrets: Readonly<Record<string, string>>): string[] {
  return log
    .split("\n")
    .flatMap((line, index) =>
      [
        ...Object.entries(patterns).filter(([, pattern]) => pattern.test(line)),
        ...Object.entries(secrets).filter(([, secret]) => line.includes(secret)),
      ].map(([what]) => `line ${index + 1}: ${what}`),
    );
}
