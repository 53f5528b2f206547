/** Answers are data for programs: nothing to sniff, render, frame, keep or tell others about. */
export const alwaysSaid = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** Over HTTPS only: browsers ignore it elsewhere, and who ends TLS in front of us has decided that there is HTTPS. */
const saidOverHttps = { ...alwaysSaid, "strict-transport-security": "max-age=31536000" };

/** What every answer of a public port has, whoever writes the rest of it. What a handler says itself goes before. */
export function securityHeaders(isHttps: boolean): Readonly<Record<string, string>> {
  return isHttps ? saidOverHttps : alwaysSaid;
}
