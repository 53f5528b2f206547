import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { Role } from "@shop/gen/shop/users/v1/user_service_pb";
import { loadDotEnv } from "./dot-env.ts";
import { serviceUrl, usersClient } from "./internal-clients.ts";
import { readSettings } from "./settings.ts";
import { showHelp } from "./show-help.ts";
import { orExit } from "./start-error.ts";

// `npm run admin -- reset-password [username]`: replaces an administrator's lost password.
const usage = "npm run admin -- reset-password [username] gives an account (admin, or ADMIN_USERNAME) a new password";
const args = process.argv.slice(2);
showHelp(args, usage);
orExit(loadDotEnv);
const [command, username = process.env.ADMIN_USERNAME || "admin", ...rest] = args;
if (command !== "reset-password" || username.startsWith("--") || rest.length > 0) {
  console.error(usage);
  process.exit(2);
}
const settings = orExit(() => readSettings([], process.env));
const usersUrl = serviceUrl("users", settings);
const password = randomBytes(15).toString("base64url");
try {
  const { profile } = await usersClient(usersUrl, settings.dataDir).resetPassword({ username, newPassword: password });
  console.log(`${profile!.username} / ${password}   (generated now and shown only once)`);
  console.log("All of its sessions have ended.");
  if (!profile!.roles.includes(Role.ADMIN)) console.log("It is not an administrator's account.");
  if (profile!.disabled) console.log("The account is disabled: another administrator has to enable it.");
} catch (error) {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.NotFound) console.error(`No account is called ${username}`);
  else {
    console.error(`The password could not be reset at ${usersUrl}: ${rawMessage}`);
    console.error("Is the shop running (npm start) with the same DATA_DIR?");
  }
  process.exitCode = 1;
}
