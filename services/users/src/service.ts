import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { defineModule } from "@shop/platform";
import { usersConfig } from "./config.ts";
import { ensureFirstAdmin } from "./jobs/ensure-first-admin.ts";
import { createPasswords } from "./passwords.ts";
import { authenticate } from "./rpc/authenticate.ts";
import { getUserProfile } from "./rpc/get-user-profile.ts";
import { listSessions } from "./rpc/list-sessions.ts";
import { listTokenKeys } from "./rpc/list-token-keys.ts";
import { refreshToken } from "./rpc/refresh-token.ts";
import { register } from "./rpc/register.ts";
import { signOut } from "./rpc/sign-out.ts";
import { signOutEverywhere } from "./rpc/sign-out-everywhere.ts";
import { createSessionStore, openSessions } from "./store/session-store.ts";
import { openSigningKeyStore } from "./store/signing-key-store.ts";
import { openUserStore } from "./store/user-store.ts";

const dayMs = 24 * 60 * 60 * 1000;

export const users = defineModule({
  name: "users",
  config: usersConfig,
  implements: [UserService, TokenKeyService],
  port: (config) => config.USERS_PORT,
  neighbours: () => [],
  async start({ config, db, clock, log, pageTokens }) {
    const [users, sessionDocuments, signingKeys, passwords] = await Promise.all([
      openUserStore(db),
      openSessions(db),
      openSigningKeyStore(db),
      createPasswords({ atOnce: config.PASSWORD_HASHES_AT_ONCE, waiting: config.PASSWORD_HASHES_WAITING }),
    ]);
    const sessions = createSessionStore(sessionDocuments);
    const lifetime = { idleMs: config.SESSION_IDLE_DAYS * dayMs, maxMs: config.SESSION_MAX_DAYS * dayMs };
    await ensureFirstAdmin({ users, passwords, clock, log }, config);
    return {
      routes: (router) =>
        router
          .service(UserService, {
            register: register({ users, passwords, clock }),
            authenticate: authenticate({ users, sessions, passwords, signingKeys, lifetime, clock }),
            refreshToken: refreshToken({ users, sessions, signingKeys, lifetime, clock, log }),
            signOut: signOut({ sessions, clock }),
            signOutEverywhere: signOutEverywhere({ users, clock }),
            listSessions: listSessions({ users, sessions, pageTokens, clock }),
            getUserProfile: getUserProfile({ users }),
          })
          .service(TokenKeyService, { listTokenKeys: listTokenKeys({ signingKeys }) }),
    };
  },
});
