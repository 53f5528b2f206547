import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { expect, onTestFinished, test } from "vitest";
import { ownEnvironment } from "../setup/own-environment.ts";
import { eventually } from "./eventually.ts";
import { refusalOf } from "./refusal.ts";
import { password, shop, signIn, signInAdmin, signUp, unique } from "./shopping.ts";

/** Runs `npm run admin -- reset-password` beside the running shop. */
async function resetPassword(...args: readonly string[]) {
  const command = join(import.meta.dirname, "../../tools/src/admin-command.ts");
  return await promisify(execFile)(process.execPath, [command, "reset-password", ...args], {
    env: { ...ownEnvironment(), DATA_DIR: shop.dataDir, USERS_URL: shop.usersUrl },
  });
}

test("the command replaces an administrator's lost password, ends their sessions and changes no role", async () => {
  const admin = await signInAdmin();
  const lost = await signUp();
  await admin.users.setRoles({ userId: lost.userId, roles: [Role.CUSTOMER, Role.ADMIN] });
  // Other tests rely on this being the only administrator.
  onTestFinished(async () => void (await admin.users.setRoles({ userId: lost.userId, roles: [Role.CUSTOMER] })));
  const before = await signIn(lost.username);
  await before.users.listUsers({});

  const { stdout } = await resetPassword(lost.username);
  const [, made] = new RegExp(`^${lost.username} / (\\S{20}) `, "m").exec(stdout)!;
  expect(stdout).not.toContain("not an administrator");
  await eventually(async () => expect((await refusalOf(before.users.listUsers({}))).code).toBe("Unauthenticated"));
  expect((await refusalOf(signIn(lost.username, password))).reason).toBe("WRONG_CREDENTIALS");
  await (await signIn(lost.username, made)).users.listUsers({});
  await (await signInAdmin()).users.listUsers({});
  const { securityEvents } = await admin.users.listSecurityEvents({ userId: lost.userId, pageSize: 5 });
  expect(securityEvents.map(({ actor, detail }) => [actor, detail])).toContainEqual(["starter", ""]);
});

test("the command reports in one line that the account does not exist", async () => {
  const name = unique("nobody");
  await expect(resetPassword(name)).rejects.toMatchObject({ code: 1, stderr: `No account is called ${name}\n` });
});
