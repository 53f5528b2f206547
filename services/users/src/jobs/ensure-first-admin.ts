import { type Clock, DomainError, type Logger, newId } from "@shop/core";
import { checkNewPassword } from "../application/password-rules.ts";
import type { Passwords } from "../application/ports/passwords.ts";
import type { UserStore } from "../application/ports/user-store.ts";
import { newUser } from "../domain/user.ts";

/** Creates the first administrator from the settings unless there is one. Of concurrent replicas one succeeds, by the unique username. */
export async function ensureFirstAdmin(
  on: { readonly users: UserStore; readonly passwords: Passwords; readonly clock: Clock; readonly log: Logger },
  config: { readonly ADMIN_USERNAME: string; readonly ADMIN_PASSWORD?: string | undefined },
): Promise<void> {
  if (await on.users.hasAdmin()) return;
  if (config.ADMIN_PASSWORD === undefined) {
    on.log.warn("there is no administrator yet: set ADMIN_PASSWORD to create one");
    return;
  }
  try {
    checkNewPassword("ADMIN_PASSWORD", config.ADMIN_PASSWORD, config.ADMIN_USERNAME);
    const passwordHash = await on.passwords.hash(config.ADMIN_PASSWORD);
    await on.users.insert(
      newUser({
        userId: newId("user"),
        username: config.ADMIN_USERNAME,
        passwordHash,
        roles: ["customer", "admin"],
        time: on.clock(),
      }),
    );
    on.log.info({ username: config.ADMIN_USERNAME }, "created the first administrator");
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    if (error.reason === "INVALID_FIELDS") {
      on.log.error(`${error.message}: no administrator was created`);
      return;
    }
    if (error.reason === "PASSWORD_TOO_COMMON") {
      on.log.error("ADMIN_PASSWORD is one of the most common passwords: no administrator was created");
      return;
    }
    if (error.reason !== "USERNAME_TAKEN") throw error;
    if (!(await on.users.hasAdmin())) {
      on.log.error(
        { username: config.ADMIN_USERNAME },
        "ADMIN_USERNAME belongs to a customer: no administrator was created",
      );
    }
  }
}
