import { setting } from "@shop/core";
import { portSetting } from "@shop/topology/settings";
import { z } from "zod";

/** The settings of the users service. */
export const usersConfig = z.object({
  ...portSetting("users"),
  ADMIN_USERNAME: z
    .string()
    .regex(/^[A-Za-z0-9._-]{3,64}$/, "must be 3 to 64 of letters, digits and . _ -")
    .default("admin")
    .describe("3 to 64 of letters, digits and . _ -")
    .meta({ meaning: "The name of the first administrator." }),
  ADMIN_PASSWORD: z
    .string()
    .min(8)
    .max(128)
    .optional()
    .describe("8 to 128 characters")
    .meta({
      meaning:
        "The password of the first administrator, whose account is created if this is set and there is no administrator yet. `npm start` " +
        "generates one and shows it once.",
    }),
  AUTH_RATE_PER_MINUTE: setting.integer(300, 1, 1_000_000, "requests per minute").meta({
    meaning:
      "Sign-ins and registrations from one address (a /64 of IPv6), in all processes together. One more is refused with " +
      "SIGN_IN_RATE_EXCEEDED.",
  }),
  SIGN_IN_FREE_FAILURES: setting.integer(5, 1, 1_000, "sign-ins").meta({
    meaning:
      "Failed sign-ins to an account before the next one has to wait, in all processes together. The wait doubles with each failure, up " +
      "to 15 minutes; an earlier attempt is refused with SIGN_IN_SLOWED_DOWN.",
  }),
  SESSION_IDLE_DAYS: setting.integer(14, 1, 365, "days").meta({
    meaning: "A session that is not refreshed for that time ends.",
  }),
  SESSION_MAX_DAYS: setting.integer(90, 1, 3_650, "days").meta({
    meaning: "A session ends after that time, however often it is refreshed.",
  }),
  SECURITY_EVENT_DAYS: setting.integer(90, 1, 3_650, "days").meta({
    meaning: "How long security events, such as failed sign-ins, are kept for administrators.",
  }),
  TOKEN_KEYS_SECRET: z
    .string()
    .min(32)
    .optional()
    .describe("at least 32 characters")
    .meta({
      meaning:
        "Seals the keys of access tokens in the database; the same for every replica of users. Without it a single process uses a random " +
        "secret, and so another key after each start. `npm start` generates one and keeps it in `DATA_DIR`.",
    }),
  TOKEN_KEY_SECONDS: setting.integer(2_592_000, 10, 31_536_000, "seconds").meta({
    meaning:
      "How long a key signs access tokens. The next key is published ten minutes before, and the last one until its tokens have expired.",
  }),
  PASSWORD_HASH_MEMORY_KIB: setting.integer(19_456, 8_192, 1_048_576, "KiB").meta({
    meaning:
      "Memory of an Argon2id password hash. When the cost is raised, each account's hash is replaced at its next sign-in.",
  }),
  PASSWORD_HASH_PASSES: setting.integer(2, 1, 100, "passes").meta({
    meaning: "Passes of a password hash over its memory.",
  }),
  PASSWORD_HASH_LANES: setting.integer(1, 1, 16, "lanes").meta({ meaning: "Lanes of a password hash." }),
  PASSWORD_HASHES_AT_ONCE: setting.integer(2, 1, 64, "hashes").meta({
    meaning: "Password hashes that a process computes at the same time.",
  }),
  PASSWORD_HASHES_WAITING: setting.integer(50, 0, 10_000, "hashes").meta({
    meaning:
      "Password hashes that may wait in a process. One more is refused with SIGN_IN_BUSY. Callers that have not signed in before may use " +
      "seven tenths of the hashes that are computed or wait.",
  }),
  PASSWORD_HASHES_PER_NETWORK: setting.integer(12, 0, 10_000, "hashes").meta({
    meaning:
      "Password hashes of one address (a /64 of IPv6) that a process computes or lets wait. A /24 or /48 gets twice as many; 0 means " +
      "no limit.",
  }),
});
