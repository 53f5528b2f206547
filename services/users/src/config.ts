import { setting } from "@shop/platform";
import { z } from "zod";

/** The environment of the users service. */
export const usersConfig = z.object({
  USERS_PORT: setting.port(50053),
  ADMIN_USERNAME: z
    .string()
    .regex(/^[A-Za-z0-9._-]{3,64}$/, "must be 3 to 64 of letters, digits and . _ -")
    .default("admin")
    .describe("name of the first administrator"),
  ADMIN_PASSWORD: z
    .string()
    .min(8)
    .max(128)
    .optional()
    .describe("8 to 128 characters; the first administrator is made only if it is set and there is none yet"),
  AUTH_RATE_PER_MINUTE: setting.integer(300, 1, 1_000_000, "sign-ins and registrations a minute from one address"),
  SIGN_IN_FREE_FAILURES: setting.integer(5, 1, 1_000, "failed sign-ins to an account before the next has to wait"),
  SESSION_IDLE_DAYS: setting.integer(14, 1, 365, "days without a refresh until a session ends"),
  SESSION_MAX_DAYS: setting.integer(90, 1, 3_650, "days until a session ends however often it is refreshed"),
  SECURITY_EVENT_DAYS: setting.integer(90, 1, 3_650, "days that security events are kept"),
  TOKEN_KEYS_SECRET: z
    .string()
    .min(32)
    .optional()
    .describe("at least 32 characters, the same for every replica of users; random when only one runs"),
  TOKEN_KEY_SECONDS: setting.integer(
    2_592_000,
    10,
    31_536_000,
    "seconds that a key signs access tokens before the next one",
  ),
  PASSWORD_HASH_MEMORY_KIB: setting.integer(19_456, 8_192, 1_048_576, "KiB of memory that a password hash takes"),
  PASSWORD_HASH_PASSES: setting.integer(2, 1, 100, "passes of a password hash over its memory"),
  PASSWORD_HASH_LANES: setting.integer(1, 1, 16, "lanes of a password hash"),
  PASSWORD_HASHES_AT_ONCE: setting.integer(2, 1, 64, "password hashes computed at the same time"),
  PASSWORD_HASHES_WAITING: setting.integer(50, 0, 10_000, "password hashes that may wait for their turn"),
  PASSWORD_HASHES_PER_NETWORK: setting.integer(
    12,
    0,
    10_000,
    "password hashes that one address has computed or waiting; 0 for no limit",
  ),
});
