import { accessTokenSeconds } from "@shop/auth";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { createStreamRecovery } from "@shop/messaging";
import { defineModule, revocationStream } from "@shop/runtime";
import { allServices } from "@shop/topology/contracts";
import { createPasswords } from "./adapters/crypto/passwords.ts";
import { createSealer } from "./adapters/crypto/sealing.ts";
import { openStores } from "./adapters/mongo/open-stores.ts";
import { openSecurityEventStore } from "./adapters/mongo/security-event-store.ts";
import { openTokenKeyStore } from "./adapters/mongo/token-key-store.ts";
import { streamPaths } from "./adapters/proto/stream-paths.ts";
import { recoverDeletions, recoverRevocations } from "./application/recover-events.ts";
import { createSecurityLog } from "./application/security-log.ts";
import { createSignInLimits } from "./application/sign-in-limits.ts";
import { openTokenKeys } from "./application/token-keys.ts";
import { usersConfig } from "./config.ts";
import { keyRotation } from "./domain/token-key.ts";
import { ensureFirstAdmin } from "./jobs/ensure-first-admin.ts";
import { readTokenKeys, rotateTokenKeys } from "./jobs/rotate-token-keys.ts";
import { authenticate } from "./rpc/authenticate.ts";
import { changePassword } from "./rpc/change-password.ts";
import { createStreamTicket } from "./rpc/create-stream-ticket.ts";
import { deleteAccount } from "./rpc/delete-account.ts";
import { disableUser } from "./rpc/disable-user.ts";
import { enableUser } from "./rpc/enable-user.ts";
import { getUserProfile } from "./rpc/get-user-profile.ts";
import { listSecurityEvents } from "./rpc/list-security-events.ts";
import { listSessions } from "./rpc/list-sessions.ts";
import { listTokenKeys } from "./rpc/list-token-keys.ts";
import { listUsers } from "./rpc/list-users.ts";
import { refreshToken } from "./rpc/refresh-token.ts";
import { register } from "./rpc/register.ts";
import { resetPassword } from "./rpc/reset-password.ts";
import { setRoles } from "./rpc/set-roles.ts";
import { signOut } from "./rpc/sign-out.ts";
import { signOutEverywhere } from "./rpc/sign-out-everywhere.ts";
import { updateUserProfile } from "./rpc/update-user-profile.ts";

const dayMs = 24 * 60 * 60 * 1000;
/** Revocations and deletions are published again at this interval even if no stream is known to be lost. */
const recoverEveryMs = 60 * 60 * 1000;

export const users = defineModule({
  name: "users",
  config: usersConfig,
  implements: [UserService, TokenKeyService],
  forwardedBy: ["gateway"],
  port: (config) => config.USERS_PORT,
  upstreams: () => [],
  publishes: "shop.users.v1",
  async start({ config, db, bus, limits: counters, clock, log, lease, generatedSecret, pageTokens }) {
    if (config.TOKEN_KEYS_SECRET === undefined) {
      log.warn(
        "TOKEN_KEYS_SECRET is not set: the keys of access tokens are sealed with a generated secret, for this process only",
      );
    }
    // Awaited together: if the database is down all of them reject, and a rejection that is not awaited would end the process.
    const [stores, securityEvents, tokenKeys, passwords] = await Promise.all([
      openStores({ db, bus, log }),
      openSecurityEventStore(db),
      openTokenKeyStore(db).then((store) =>
        openTokenKeys({
          store,
          sealer: createSealer(config.TOKEN_KEYS_SECRET ?? generatedSecret),
          rotation: keyRotation(config.TOKEN_KEY_SECONDS * 1000, accessTokenSeconds * 1000),
          clock,
          log,
        }),
      ),
      createPasswords({
        cost: {
          memoryKib: config.PASSWORD_HASH_MEMORY_KIB,
          passes: config.PASSWORD_HASH_PASSES,
          lanes: config.PASSWORD_HASH_LANES,
        },
        atOnce: config.PASSWORD_HASHES_AT_ONCE,
        waiting: config.PASSWORD_HASHES_WAITING,
        perNetwork: config.PASSWORD_HASHES_PER_NETWORK,
      }),
    ]);
    const { users, sessions, userOutbox, sessionOutbox } = stores;
    const keptMs = config.SECURITY_EVENT_DAYS * dayMs;
    const security = createSecurityLog({ events: securityEvents, keptMs, clock, log });
    const lifetime = { idleMs: config.SESSION_IDLE_DAYS * dayMs, maxMs: config.SESSION_MAX_DAYS * dayMs };
    const limits = createSignInLimits(counters, {
      perMinute: config.AUTH_RATE_PER_MINUTE,
      freeFailures: config.SIGN_IN_FREE_FAILURES,
    });
    const recoverFrom = { users, sessions, publish: userOutbox.publishNow, clock };
    const recoveryOf = (stream: string, recover: (on: typeof recoverFrom, signal: AbortSignal) => Promise<void>) =>
      createStreamRecovery({
        stream,
        db,
        bus,
        lease: lease(`recover-stream-${stream}`),
        everyMs: recoverEveryMs,
        clock,
        log,
        recover: (signal) => recover(recoverFrom, signal),
      });
    const recoveries = [recoveryOf("users", recoverDeletions), recoveryOf(revocationStream, recoverRevocations)];
    await ensureFirstAdmin({ users, passwords, clock, log }, config);
    return {
      routes: (router) =>
        router
          .service(UserService, {
            register: register({ users, passwords, limits, clock, adminUsername: config.ADMIN_USERNAME }),
            authenticate: authenticate({ users, sessions, passwords, limits, tokenKeys, security, lifetime, clock }),
            refreshToken: refreshToken({ users, sessions, tokenKeys, security, lifetime, clock }),
            createStreamTicket: createStreamTicket({ tokenKeys, isStream: streamPaths(allServices), clock }),
            signOut: signOut({ sessions, clock }),
            signOutEverywhere: signOutEverywhere({ users, security, clock }),
            listSessions: listSessions({ users, sessions, pageTokens, clock }),
            getUserProfile: getUserProfile({ users }),
            updateUserProfile: updateUserProfile({ users, clock }),
            changePassword: changePassword({ users, sessions, passwords, limits, tokenKeys, security, clock }),
            deleteAccount: deleteAccount({ users, sessions, passwords, limits, security, clock }),
            listUsers: listUsers({ users, pageTokens }),
            setRoles: setRoles({ users, security, clock }),
            disableUser: disableUser({ users, security, clock }),
            enableUser: enableUser({ users, security, clock }),
            resetPassword: resetPassword({ users, passwords, security, clock }),
            listSecurityEvents: listSecurityEvents({ events: securityEvents, pageTokens }),
          })
          .service(TokenKeyService, { listTokenKeys: listTokenKeys({ tokenKeys }) }),
      jobs: [
        { ...rotateTokenKeys({ tokenKeys }), lease: lease("rotate-token-keys") },
        readTokenKeys({ tokenKeys }),
        ...recoveries.map(({ job }) => job),
      ],
      notReady: async () => (await Promise.all(recoveries.map((recovery) => recovery.notReady()))).find(Boolean),
      outboxes: [userOutbox.work(), sessionOutbox.work()],
      close: () => passwords.close(),
    };
  },
});
