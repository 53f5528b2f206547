import { create } from "@bufbuild/protobuf";
import { createPageTokens } from "@shop/core";
import {
  ChangePasswordRequestSchema,
  DeleteAccountRequestSchema,
  DisableUserRequestSchema,
  EnableUserRequestSchema,
  ListSecurityEventsRequestSchema,
  RefreshTokenRequestSchema,
  Role,
  SecurityEventKind,
  SetRolesRequestSchema,
  SignOutEverywhereRequestSchema,
} from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf, silentLog } from "@shop/runtime/testing";
import { expect, test, vi } from "vitest";
import { createSecurityLog } from "../application/security-log.ts";
import { openTestUsers, userContext } from "../testing/open-test-users.ts";
import { changePassword } from "./change-password.ts";
import { deleteAccount } from "./delete-account.ts";
import { disableUser } from "./disable-user.ts";
import { enableUser } from "./enable-user.ts";
import { listSecurityEvents } from "./list-security-events.ts";
import { refreshToken } from "./refresh-token.ts";
import { setRoles } from "./set-roles.ts";
import { signOutEverywhere } from "./sign-out-everywhere.ts";

const anonymous = contextOf({ kind: "anonymous" });
const admin = userContext({ userId: "user_admin" });

const nameOf = (kind?: SecurityEventKind) => Object.entries(SecurityEventKind).find(([, value]) => value === kind)?.[0];

async function openEvents() {
  const on = await openTestUsers();
  const list = async (userId = "", pageSize = 100, pageToken = "") =>
    await listSecurityEvents({ ...on, pageTokens: createPageTokens(() => ["a secret"]) })(
      create(ListSecurityEventsRequestSchema, { userId, pageSize, pageToken }),
      anonymous,
    );
  /** Oldest first, each with the name of its kind. */
  const recorded = async (userId?: string) =>
    (await list(userId)).securityEvents!.map(({ kind, actor, detail }) => [nameOf(kind), actor, detail]).reverse();
  return { ...on, list, recorded };
}

test("every security event of an account is recorded with its actor", async () => {
  const { recorded, signUp, signIn, advance, ...on } = await openEvents();
  const { username, ...caller } = await signUp();
  const userId = caller.userId!;
  await signIn(username, "wrong horse").catch(() => {});
  const refresh = async () =>
    await refreshToken(on)(create(RefreshTokenRequestSchema, { refreshToken: caller.refreshToken! }), anonymous);
  await refresh();
  advance(60_000);
  await refresh().catch(() => {});
  const again = await signIn(username);
  const change = async (oldPassword: string) =>
    await changePassword(on)(
      create(ChangePasswordRequestSchema, { oldPassword, newPassword: "battery staple" }),
      userContext(again),
    );
  await change("wrong horse").catch(() => {});
  await change("correct horse");
  for (const _ of [1, 2]) {
    await setRoles(on)(create(SetRolesRequestSchema, { userId, roles: [Role.CUSTOMER, Role.ADMIN] }), admin);
  }
  await setRoles(on)(create(SetRolesRequestSchema, { userId: (await signUp()).userId!, roles: [Role.ADMIN] }), admin);
  await signOutEverywhere(on)(create(SignOutEverywhereRequestSchema, { userId }), userContext(again));
  await disableUser(on)(create(DisableUserRequestSchema, { userId }), admin);
  await signIn(username, "battery staple").catch(() => {});
  await enableUser(on)(create(EnableUserRequestSchema, { userId }), admin);
  await deleteAccount(on)(create(DeleteAccountRequestSchema, { password: "battery staple" }), userContext(again));
  expect(await recorded(userId)).toEqual([
    ["SIGNED_IN", userId, ""],
    ["SIGN_IN_FAILED", "anonymous", ""],
    ["REFRESH_TOKEN_REUSED", "anonymous", ""],
    ["SIGNED_IN", userId, ""],
    ["PASSWORD_REFUSED", userId, ""],
    ["PASSWORD_CHANGED", userId, ""],
    ["ROLES_SET", "user_admin", "customer, admin"],
    ["SIGNED_OUT_EVERYWHERE", userId, ""],
    ["DISABLED", "user_admin", ""],
    ["SIGN_IN_FAILED", "anonymous", ""],
    ["ENABLED", "user_admin", ""],
    ["DELETED", userId, ""],
  ]);
});

test("a failed sign-in with an unknown name is recorded without the name", async () => {
  const { recorded, signIn, db } = await openEvents();
  await signIn("my secret password").catch(() => {});
  expect(await recorded()).toEqual([["SIGN_IN_FAILED", "anonymous", ""]]);
  expect(JSON.stringify(await db.collection("security_events").find().toArray())).not.toContain("secret");
});

test("events are listed newest first, in pages, for one account or for all", async () => {
  const { list, signUp } = await openEvents();
  const accounts = [await signUp(), await signUp(), await signUp()];
  const { securityEvents, nextPageToken } = await list("", 2);
  expect(securityEvents!.map(({ userId }) => userId)).toEqual([accounts[2]!.userId, accounts[1]!.userId]);
  const rest = await list("", 2, nextPageToken);
  expect(rest.securityEvents!.map(({ userId }) => userId)).toEqual([accounts[0]!.userId]);
  expect(rest.nextPageToken).toBe("");
  expect((await list(accounts[1]!.userId!)).securityEvents).toHaveLength(1);
});

test("events are kept for the configured time", async () => {
  const { db, signUp, clock } = await openEvents();
  await signUp();
  const events = db.collection("security_events");
  expect((await events.findOne())!.expire_time.getTime() - clock().getTime()).toBe(90 * 24 * 60 * 60 * 1000);
  expect(await events.indexes()).toContainEqual(
    expect.objectContaining({ key: { expire_time: 1 }, expireAfterSeconds: 0 }),
  );
});

test("an event that can't be stored is in the process's log, and its action is not undone", async () => {
  const { events, clock } = await openEvents();
  const log = { ...silentLog, info: vi.fn(), error: vi.fn() };
  const insert = () => Promise.reject(new Error("down"));
  const { record } = createSecurityLog({ events: { ...events, insert }, keptMs: 1_000, clock, log });
  await record({ kind: "password_changed", userId: "user_1" });
  expect(log.info).toHaveBeenCalledWith(
    expect.objectContaining({ security_event: "password_changed" }),
    expect.any(String),
  );
  expect(log.error).toHaveBeenCalledOnce();
});
