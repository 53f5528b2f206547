import { create } from "@bufbuild/protobuf";
import { createPageTokens } from "@shop/core";
import {
  ChangePasswordRequestSchema,
  DeleteAccountRequestSchema,
  DisableUserRequestSchema,
  EnableUserRequestSchema,
  ListUsersRequestSchema,
  RefreshTokenRequestSchema,
  ResetPasswordRequestSchema,
  Role,
  SetRolesRequestSchema,
} from "@shop/gen/shop/users/v1/user_service_pb";
import { contextOf } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { openTestUsers, userContext } from "../testing/open-test-users.ts";
import { changePassword } from "./change-password.ts";
import { deleteAccount } from "./delete-account.ts";
import { disableUser } from "./disable-user.ts";
import { enableUser } from "./enable-user.ts";
import { listUsers } from "./list-users.ts";
import { refreshToken } from "./refresh-token.ts";
import { resetPassword } from "./reset-password.ts";
import { setRoles } from "./set-roles.ts";

type Caller = { userId?: string; sessionId?: string; refreshToken?: string };

const anonymous = contextOf({ kind: "anonymous" });
const lastAdmin = expect.objectContaining({ kind: "failed_precondition", reason: "LAST_ADMIN" });
const { ADMIN, CUSTOMER } = Role;

async function openAccountCalls() {
  const on = await openTestUsers();
  const userId = (caller: Caller) => ({ userId: caller.userId! });
  const calls = {
    refresh: async (caller: Caller) =>
      await refreshToken(on)(create(RefreshTokenRequestSchema, { refreshToken: caller.refreshToken! }), anonymous),
    changePassword: async (caller: Caller, oldPassword: string, newPassword: string) =>
      await changePassword(on)(create(ChangePasswordRequestSchema, { oldPassword, newPassword }), userContext(caller)),
    deleteAccount: async (caller: Caller, password = "correct horse") =>
      await deleteAccount(on)(create(DeleteAccountRequestSchema, { password }), userContext(caller)),
    setRoles: async (caller: Caller, ...roles: Role[]) =>
      await setRoles(on)(create(SetRolesRequestSchema, { ...userId(caller), roles }), anonymous),
    disable: async (caller: Caller) =>
      await disableUser(on)(create(DisableUserRequestSchema, userId(caller)), anonymous),
    enable: async (caller: Caller) => await enableUser(on)(create(EnableUserRequestSchema, userId(caller)), anonymous),
    resetPassword: async (username: string, newPassword: string) =>
      await resetPassword(on)(create(ResetPasswordRequestSchema, { username, newPassword }), anonymous),
    list: async (usernamePrefix: string, pageSize = 0, pageToken = "") =>
      await listUsers({ ...on, pageTokens: createPageTokens(() => ["a secret"]) })(
        create(ListUsersRequestSchema, { usernamePrefix, pageSize, pageToken }),
        anonymous,
      ),
  };
  return { ...on, ...calls };
}

test("a changed password replaces the old one, and only the session that changed it continues", async () => {
  const { signUp, signIn, changePassword, refresh } = await openAccountCalls();
  const phone = await signUp();
  const laptop = await signIn(phone.username);
  await changePassword(phone, "correct horse", "battery staple");
  await refresh(phone);
  await expect(refresh(laptop)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
  await expect(signIn(phone.username)).rejects.toMatchObject({ reason: "WRONG_CREDENTIALS" });
  await refresh(await signIn(phone.username, "battery staple"));
});

test("resetting a password ends all sessions and keeps the roles", async () => {
  const { signUp, signIn, setRoles, resetPassword, refresh, list } = await openAccountCalls();
  const [lost, other] = [await signUp(), await signUp()];
  for (const caller of [lost, other]) await setRoles(caller, ADMIN);
  const again = await signIn(lost.username);
  for (let attempt = 0; attempt < 2; attempt++) await resetPassword(lost.username.toUpperCase(), "battery staple");
  for (const caller of [lost, again]) {
    await expect(refresh(caller)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
  }
  await expect(signIn(lost.username)).rejects.toMatchObject({ reason: "WRONG_CREDENTIALS" });
  await refresh(await signIn(lost.username, "battery staple"));
  await refresh(other);
  const roles = [(await list(lost.username)).users![0], (await list(other.username)).users![0]].map(
    (user) => user!.roles,
  );
  expect(roles).toEqual([[ADMIN], [ADMIN]]);
});

test("a password can't be reset to a common one, or for an unknown account", async () => {
  const { signUp, resetPassword } = await openAccountCalls();
  const { username } = await signUp();
  await expect(resetPassword(username, "password")).rejects.toMatchObject({ reason: "PASSWORD_TOO_COMMON" });
  await expect(resetPassword(`${username}-not`, "battery staple")).rejects.toMatchObject({ reason: "USER_NOT_FOUND" });
});

test("a wrong old password changes nothing", async () => {
  const { signUp, signIn, changePassword, refresh } = await openAccountCalls();
  const caller = await signUp();
  const other = await signIn(caller.username);
  await expect(changePassword(caller, "wrong horse", "battery staple")).rejects.toMatchObject({
    kind: "permission_denied",
    reason: "WRONG_PASSWORD",
  });
  await refresh(other);
  await signIn(caller.username);
});

test("an ended session can't change the password and stays ended", async () => {
  const { signUp, signIn, changePassword, refresh } = await openAccountCalls();
  const phone = await signUp();
  const laptop = await signIn(phone.username);
  await changePassword(phone, "correct horse", "battery staple");
  await expect(changePassword(laptop, "battery staple", "correct horse")).rejects.toMatchObject({
    reason: "SESSION_ENDED",
  });
  await expect(refresh(laptop)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
});

test("one of several concurrent changes of a password succeeds", async () => {
  const { signUp, signIn, changePassword } = await openAccountCalls();
  const caller = await signUp();
  const passwords = Array.from({ length: 5 }, (_, index) => `battery staple ${index}`);
  const changes = await Promise.allSettled(passwords.map((next) => changePassword(caller, "correct horse", next)));
  const taken = passwords.filter((_, index) => changes[index]!.status === "fulfilled");
  expect(taken).toHaveLength(1);
  await signIn(caller.username, taken[0]);
});

test("only the id of a deleted account remains, its sessions have ended, and its name is free", async () => {
  const { signUp, signIn, deleteAccount, refresh, list, userDocuments, sessionDocuments } = await openAccountCalls();
  const caller = await signUp();
  await deleteAccount(caller);
  await expect(refresh(caller)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
  await expect(signIn(caller.username)).rejects.toMatchObject({ reason: "WRONG_CREDENTIALS" });
  await expect(signIn(`deleted:${caller.userId}`)).rejects.toMatchObject({ reason: "WRONG_CREDENTIALS" });
  await expect(deleteAccount(caller)).rejects.toMatchObject({ reason: "USER_NOT_FOUND" });
  expect((await list("")).users).toEqual([]);
  const left = await userDocuments.findOne({ _id: caller.userId! });
  expect(left).toMatchObject({ username: "", display_name: "", password_hash: "", roles: [] });
  expect(JSON.stringify(left)).not.toContain(caller.username);
  expect(await sessionDocuments.countDocuments()).toBe(0);
  expect((await signUp(caller.username)).userId).not.toBe(caller.userId);
});

test("UserDeleted is published after the account's access was revoked, not before", async () => {
  const { signUp, deleteAccount, userDocuments, clock } = await openAccountCalls();
  const caller = await signUp();
  await deleteAccount(caller);
  await expect
    .poll(async () => (await userDocuments.findOne({ _id: caller.userId! }))!.outbox.map(({ type }) => type))
    .toEqual(["shop.users.v1.UserDeleted"]);
  const [waiting] = (await userDocuments.findOne({ _id: caller.userId! }))!.outbox;
  expect(waiting!.time.getTime()).toBe(clock().getTime() + 5_000);
});

test("an account is not deleted with a wrong password", async () => {
  const { signUp, signIn, deleteAccount } = await openAccountCalls();
  const caller = await signUp();
  await expect(deleteAccount(caller, "wrong horse")).rejects.toMatchObject({ reason: "WRONG_PASSWORD" });
  await signIn(caller.username);
});

test("a disabled account has no session and can't sign in until it is enabled", async () => {
  const { signUp, signIn, disable, enable, refresh } = await openAccountCalls();
  const caller = await signUp();
  await disable(caller);
  await expect(refresh(caller)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
  await expect(signIn(caller.username)).rejects.toMatchObject({
    kind: "permission_denied",
    reason: "ACCOUNT_DISABLED",
  });
  // A caller with a wrong password does not learn that the account is disabled.
  await expect(signIn(caller.username, "wrong horse")).rejects.toMatchObject({ reason: "WRONG_CREDENTIALS" });
  await enable(caller);
  await expect(refresh(caller)).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
  await refresh(await signIn(caller.username));
});

test("setting the same roles revokes nothing, and other roles revoke all access tokens but no session", async () => {
  const { signUp, setRoles, refresh, users } = await openAccountCalls();
  const caller = await signUp();
  const version = async () => (await users.findById(caller.userId!))!.version;
  await setRoles(caller, CUSTOMER);
  expect(await version()).toBe(1);
  await setRoles(caller, ADMIN, CUSTOMER);
  expect(await version()).toBe(2);
  await refresh(caller);
});

test("the last administrator can't lose the role, be disabled or be deleted", async () => {
  const { signUp, setRoles, disable, deleteAccount, enable } = await openAccountCalls();
  const [admin, another] = [await signUp(), await signUp()];
  await setRoles(admin, ADMIN);
  await setRoles(another, ADMIN);
  // A disabled administrator does not count.
  await disable(another);
  await expect(setRoles(admin, CUSTOMER)).rejects.toEqual(lastAdmin);
  await expect(disable(admin)).rejects.toEqual(lastAdmin);
  await expect(deleteAccount(admin)).rejects.toEqual(lastAdmin);
  await enable(another);
  await setRoles(admin, CUSTOMER);
  await expect(deleteAccount(another)).rejects.toEqual(lastAdmin);
});

test("administrators that concurrently remove each other's role leave one administrator", async () => {
  for (let round = 0; round < 3; round++) {
    const { signUp, setRoles, users } = await openAccountCalls();
    const admins = await Promise.all([signUp(), signUp(), signUp()]);
    for (const admin of admins) await setRoles(admin, ADMIN);
    const results = await Promise.allSettled(admins.map((admin) => setRoles(admin, CUSTOMER)));
    expect(results.filter(({ status }) => status === "rejected")).toEqual([
      expect.objectContaining({ reason: lastAdmin }),
    ]);
    const after = await Promise.all(admins.map(({ userId }) => users.findById(userId!)));
    expect(after.filter((user) => user!.roles.includes("admin"))).toHaveLength(1);
  }
});

test("accounts are listed by name, in pages, and filtered by a prefix", async () => {
  const { signUp, list } = await openAccountCalls();
  for (const name of ["carla", "Bob", "alice", "bo.b", "b-ob"]) await signUp(name);
  const names = (users: readonly { username?: string }[] = []) => users.map(({ username }) => username);
  expect(names((await list("")).users)).toEqual(["alice", "b-ob", "bo.b", "Bob", "carla"]);
  expect(names((await list("BO")).users)).toEqual(["bo.b", "Bob"]);
  expect(names((await list("b", 2)).users)).toEqual(["b-ob", "bo.b"]);
  const { nextPageToken } = await list("b", 2);
  const rest = await list("b", 2, nextPageToken);
  expect(names(rest.users)).toEqual(["Bob"]);
  expect(rest.nextPageToken).toBe("");
  await expect(list("c", 2, nextPageToken)).rejects.toMatchObject({ reason: "INVALID_FIELDS" });
});
