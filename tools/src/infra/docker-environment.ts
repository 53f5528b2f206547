import { readFileSync } from "node:fs";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";
import { natsAuthorization } from "./nats-authorization.ts";
import { redisUsers } from "./redis-users.ts";
import { composeFile } from "./resolve-server.ts";

/**
 * The environment of `docker compose`: the variables that compose.yaml interpolates. The client needs all
 * others to find its engine; containers get only those that their service lists.
 */
export function dockerEnvironment(
  { env, accounts, credentials }: { env: NodeJS.ProcessEnv; accounts: readonly Account[]; credentials: Credentials },
  ports: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  return { ...unusedVariables(), ...env, ...composeVariables(accounts, credentials), ...ports };
}

/** Compose requires the variables of all services, even of those that it does not start. */
function unusedVariables(): NodeJS.ProcessEnv {
  const compose = readFileSync(composeFile, "utf8");
  return Object.fromEntries([...compose.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => [name, "unused"]));
}

/** The variables of compose.yaml with the servers' accounts and credentials. */
export function composeVariables(accounts: readonly Account[], credentials: Credentials): Record<string, string> {
  const secretsOf = (name: string) => credentials.accounts[name]!;
  const mongodbAccounts = [
    [operator, secretsOf(operator).mongodbPassword, "*"],
    ...accounts.map(({ name, mongodb }) => [name, secretsOf(name).mongodbPassword, ...mongodb.databases]),
  ];
  const ofServices = accounts.flatMap(({ name }) => {
    const prefix = name.toUpperCase().replaceAll("-", "_");
    const { mongodbPassword, redisPassword, natsSeed } = secretsOf(name);
    return [
      [`${prefix}_MONGODB_PASSWORD`, mongodbPassword],
      [`${prefix}_REDIS_PASSWORD`, redisPassword],
      [`${prefix}_NATS_SEED`, natsSeed],
    ];
  });
  return {
    MONGODB_KEY: credentials.mongodbKey,
    MONGODB_ACCOUNTS: mongodbAccounts.map((words) => words.join(" ")).join("\n"),
    REDIS_USERS: redisUsers(accounts, credentials).join("\n"),
    NATS_AUTHORIZATION: natsAuthorization(accounts, credentials),
    ...Object.fromEntries(ofServices),
  };
}
