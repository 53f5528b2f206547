import { commandTimeoutMs, type Redis } from "@shop/cache";
import { inSpan, SpanKind } from "@shop/core";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, RLWrapperTimeouts } from "rate-limiter-flexible";

/** The result of taking one point. */
export interface Taken {
  /** Whether it was within the limit. */
  readonly isAllowed: boolean;
  /** Points taken, including this one. */
  readonly count: number;
  /** Points left. */
  readonly left: number;
  /** Milliseconds until all points are available again. */
  readonly resetMs: number;
}

/**
 * Counts points by key: in Redis for all processes together, or in this process alone while Redis is unavailable or frozen. It
 * never fails, and never lifts the limit.
 */
export interface Limiter {
  readonly points: number;
  readonly seconds: number;
  /** Takes one of `points`. `seconds` is how long points are counted if this is the first one. */
  take(key: string, seconds?: number): Promise<Taken>;
  /** The number of points taken. */
  count(key: string): Promise<number>;
  giveBack(key: string): Promise<void>;
  /** Refuses all points for this time. */
  bar(key: string, seconds: number): Promise<void>;
  forget(key: string): Promise<void>;
}

export interface LimiterOptions {
  /** Unique among the limiters of a module. */
  readonly name: string;
  /** The limit per key; if absent points are only counted. */
  readonly points?: number;
  /** How long points are counted, from the first one on. */
  readonly seconds: number;
}

export interface Limits {
  limiter(options: LimiterOptions): Limiter;
}

const unlimited = 1_000_000_000;
/** A limiter takes several commands. */
const spanOptions = { kind: SpanKind.CLIENT, attributes: { "db.system.name": "redis" } };

/** @param module the module that the limits belong to */
export function createLimits(client: Redis, module: string): Limits {
  return {
    limiter({ name, points = unlimited, seconds }) {
      const options = { keyPrefix: `${module}:limit:${name}`, points, duration: seconds };
      const limiter = new RLWrapperTimeouts({
        limiter: new RateLimiterRedis({
          ...options,
          storeClient: client,
          useRedisPackage: true,
          rejectIfRedisNotReady: true,
        }),
        timeoutMs: commandTimeoutMs,
        insuranceLimiter: new RateLimiterMemory(options),
      });
      return {
        points,
        seconds,
        take: (key, duration = seconds) =>
          inSpan(`take ${name}`, spanOptions, async () => {
            try {
              return taken(true, await limiter.consume(key, 1, { customDuration: duration }));
            } catch (error) {
              if (error instanceof RateLimiterRes) return taken(false, error);
              throw error;
            }
          }),
        count: async (key) => (await limiter.get(key))?.consumedPoints ?? 0,
        giveBack: async (key) => void (await limiter.reward(key, 1)),
        bar: async (key, duration) => void (await limiter.block(key, duration)),
        forget: async (key) => void (await limiter.delete(key)),
      };
    },
  };
}

function taken(isAllowed: boolean, { consumedPoints, remainingPoints, msBeforeNext }: RateLimiterRes): Taken {
  return { isAllowed, count: consumedPoints, left: remainingPoints, resetMs: Math.max(0, msBeforeNext) };
}
