import type { HandlerContext } from "@connectrpc/connect";
import type { Limiter, Taken } from "./limits.ts";

/** Sets the rate limit headers on the answer, whether it succeeds or fails (IETF draft-ietf-httpapi-ratelimit-headers-10). */
export function setRateLimitHeaders(
  { responseHeader }: Pick<HandlerContext, "responseHeader">,
  name: string,
  { points, seconds }: Pick<Limiter, "points" | "seconds">,
  { left, resetMs }: Taken,
): void {
  responseHeader.set("RateLimit-Policy", `"${name}";q=${points};w=${seconds}`);
  responseHeader.set("RateLimit", `"${name}";r=${left};t=${Math.ceil(resetMs / 1000)}`);
}
