import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { defineModule } from "@shop/platform";
import { usersConfig } from "./config.ts";
import { ensureFirstAdmin } from "./jobs/ensure-first-admin.ts";
import { createPasswords } from "./passwords.ts";
import { authenticate } from "./rpc/authenticate.ts";
import { getUserProfile } from "./rpc/get-user-profile.ts";
import { listTokenKeys } from "./rpc/list-token-keys.ts";
import { register } from "./rpc/register.ts";
import { createSignInLimits } from "./sign-in-limits.ts";
import { openSigningKeyStore } from "./store/signing-key-store.ts";
import { openUserStore } from "./store/user-store.ts";

export const users = defineModule({
  name: "users",
  config: usersConfig,
  implements: [UserService, TokenKeyService],
  port: (config) => config.USERS_PORT,
  neighbours: () => [],
  async start({ config, db, clock, log, limits: counters }) {
    const [userStore, signingKeys, passwords] = await Promise.all([
      openUserStore(db),
      openSigningKeyStore(db),
      createPasswords({ atOnce: config.PASSWORD_HASHES_AT_ONCE, waiting: config.PASSWORD_HASHES_WAITING }),
    ]);
    const limits = createSignInLimits(counters, {
      perMinute: config.AUTH_RATE_PER_MINUTE,
      freeFailures: config.SIGN_IN_FREE_FAILURES,
    });
    await ensureFirstAdmin({ users: userStore, passwords, clock, log }, config);
    return {
      routes: (router) =>
        router
          .service(UserService, {
            register: register({ users: userStore, passwords, limits, clock }),
            authenticate: authenticate({ users: userStore, passwords, limits, signingKeys, clock }),
            getUserProfile: getUserProfile({ users: userStore }),
          })
          .service(TokenKeyService, { listTokenKeys: listTokenKeys({ signingKeys }) }),
    };
  },
});
