import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { accessTokenSeconds } from "@shop/auth";
import { newId, newSecret } from "@shop/core";
import { AuthenticateRequestSchema, RegisterRequestSchema } from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf, openTestBus, openTestDb, openTestLimits, silentLog } from "@shop/runtime/testing";
import { onTestFinished } from "vitest";
import { createPasswords } from "../adapters/crypto/passwords.ts";
import { createSealer } from "../adapters/crypto/sealing.ts";
import { openStores } from "../adapters/mongo/open-stores.ts";
import { openSecurityEventStore } from "../adapters/mongo/security-event-store.ts";
import { openTokenKeyStore } from "../adapters/mongo/token-key-store.ts";
import { createSecurityLog } from "../application/security-log.ts";
import { createSignInLimits } from "../application/sign-in-limits.ts";
import { openTokenKeys } from "../application/token-keys.ts";
import { keyRotation } from "../domain/token-key.ts";
import { authenticate } from "../rpc/authenticate.ts";
import { register } from "../rpc/register.ts";

const dayMs = 24 * 60 * 60 * 1000;

/** An anonymous caller with a user agent. */
const visitor = contextOf({ kind: "anonymous" }, { "user-agent": "Firefox" });

/** The users service's stores on their own database, and a clock that only `advance` moves. */
export async function openTestUsers({ cost = { memoryKib: 8_192, passes: 1, lanes: 1 } } = {}) {
  const [db, bus] = [await openTestDb(), await openTestBus()];
  let now = Date.now();
  const clock = () => new Date(now);
  const events = await openSecurityEventStore(db);
  const on = {
    events,
    security: createSecurityLog({ events, keptMs: 90 * dayMs, clock, log: silentLog }),
    db,
    bus,
    ...(await openStores({ db, bus, log: silentLog })),
    tokenKeys: await openTokenKeys({
      store: await openTokenKeyStore(db),
      sealer: createSealer(newSecret()),
      rotation: keyRotation(30 * dayMs, accessTokenSeconds * 1000),
      clock,
      log: silentLog,
    }),
    passwords: await createPasswords({ cost, atOnce: 2, waiting: 100 }),
    limits: createSignInLimits(await openTestLimits(newId("users")), { perMinute: 10_000, freeFailures: 5 }),
    adminUsername: "admin",
    lifetime: { idleMs: 14 * dayMs, maxMs: 90 * dayMs },
    clock,
  };
  onTestFinished(() => on.passwords.close());
  const signIn = async (username: string, password = "correct horse") =>
    await authenticate(on)(create(AuthenticateRequestSchema, { username, password }), visitor);

  return {
    ...on,
    advance(ms: number) {
      now += ms;
    },
    signIn,
    /** A new account and its first session. */
    async signUp(username = newId("name")) {
      const request = create(RegisterRequestSchema, { username, password: "correct horse" });
      await register(on)(request, visitor);
      return { username, ...(await signIn(username)) };
    },
  };
}

/** The call context of a user, from the response of their sign-in. */
export function userContext({ userId = "", sessionId = "" }: { userId?: string; sessionId?: string }): HandlerContext {
  const [issueTime, expireTime] = [new Date(), new Date()];
  const token = { sessionId, version: 1, issueTime, expireTime };
  return contextOf({ kind: "user", userId, roles: ["customer"], token });
}
