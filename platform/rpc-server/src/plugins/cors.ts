import { cors as connectCors } from "@connectrpc/connect";
import cors from "@fastify/cors";
import { traceparentHeader, tracestateHeader } from "@shop/core";
import type { FastifyInstance } from "fastify";

const methods = [...connectCors.allowedMethods, "PATCH", "PUT", "DELETE"];
const allowedHeaders = [
  ...connectCors.allowedHeaders,
  "Authorization",
  "Idempotency-Key",
  "If-Match",
  "If-None-Match",
  "Last-Event-ID",
  traceparentHeader,
  tracestateHeader,
];
const exposedHeaders = [
  ...connectCors.exposedHeaders,
  "ETag",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "WWW-Authenticate",
];
const preflightSeconds = 2 * 60 * 60;

/**
 * Lets pages of these origins call from a browser, in every protocol, also with the cookie of the refresh token ("*": any
 * origin, without the cookie). Without origins no CORS header is sent.
 */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  const origin = origins.includes("*") ? "*" : [...origins];
  const options = {
    origin,
    credentials: origin !== "*",
    methods,
    allowedHeaders,
    exposedHeaders,
    maxAge: preflightSeconds,
  };
  await app.register(cors, {
    // An OPTIONS that is not a preflight is an ordinary request.
    delegator: ({ headers }, decide) =>
      decide(null, { ...options, preflight: "origin" in headers && "access-control-request-method" in headers }),
  });
}
