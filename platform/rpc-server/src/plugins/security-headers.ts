/** Answers are data for programs: browsers should not sniff, render, frame or store them, or send them as referrer. */
export const alwaysSent = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** HSTS over HTTPS only: browsers ignore it otherwise, and the operator of the TLS proxy chose HTTPS. */
const sentOverHttps = { ...alwaysSent, "strict-transport-security": "max-age=31536000" };

/** Default headers of every answer of a public port; a handler's own headers take precedence. */
export function securityHeaders(isHttps: boolean): Readonly<Record<string, string>> {
  return isHttps ? sentOverHttps : alwaysSent;
}
