import type { HandlerContext } from "@connectrpc/connect";
import type { Limiter, Taken } from "./limits.ts";

/** Tells the caller what is left of a limit, on whatever answer follows (IETF draft-ietf-httpapi-ratelimit-headers-10). */
export function tellRateLimit(
  { responseHeader }: Pick<HandlerContext, "responseHeader">,
  name: string,
  { points, seconds }: Pick<Limiter, "points" | "seconds">,
  { left, resetMs }: Taken,
): void {
  responseHeader.set("RateLimit-Policy", `"${name}";q=${points};w=${seconds}`);
  responseHeader.set("RateLimit", `"${name}";r=${left};t=${Math.ceil(resetMs / 1000)}`);
}
