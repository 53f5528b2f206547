import { commandTimeoutMs, type Redis } from "@shop/cache";
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, RLWrapperTimeouts } from "rate-limiter-flexible";

/** What became of an attempt to take one. */
export interface Taken {
  /** Whether it was one of those that may be taken. */
  readonly isAllowed: boolean;
  /** How many were taken, this one included. */
  readonly count: number;
  /** How many may still be taken. */
  readonly left: number;
  /** Until all can be taken again, in milliseconds. */
  readonly resetMs: number;
}

/**
 * Counts by key, for all processes together: in Redis, and while that is gone or frozen in this process alone. It never fails,
 * and never lets everybody through.
 */
export interface Limiter {
  readonly points: number;
  readonly seconds: number;
  /** Takes one of `points`. `seconds` is how long all of them are counted when this is the first. */
  take(key: string, seconds?: number): Promise<Taken>;
  /** How many were taken. */
  count(key: string): Promise<number>;
  giveBack(key: string): Promise<void>;
  /** None can be taken for so long. */
  bar(key: string, seconds: number): Promise<void>;
  forget(key: string): Promise<void>;
}

export interface LimiterOptions {
  /** Of its own among the limiters of a module. */
  readonly name: string;
  /** How many can be taken of each key; if absent as many as there are, and they are only counted. */
  readonly points?: number;
  /** For so long what was taken counts, from the first one on. */
  readonly seconds: number;
}

export interface Limits {
  limiter(options: LimiterOptions): Limiter;
}

const unlimited = 1_000_000_000;

/** @param module whose limits they are */
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
        async take(key, duration = seconds) {
          try {
            return taken(true, await limiter.consume(key, 1, { customDuration: duration }));
          } catch (error) {
            if (error instanceof RateLimiterRes) return taken(false, error);
            throw error;
          }
        },
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
