import type { AnyResponse } from "./protocol-error.ts";

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
const overHttps = { "strict-transport-security": "max-age=31536000" };

/** Sets what every answer of a public port has, whoever writes the rest of it. What a handler says itself goes before. */
export function setSecurityHeaders(response: AnyResponse, isHttps: boolean): void {
  const headers = isHttps ? { ...alwaysSaid, ...overHttps } : alwaysSaid;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
}
