import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";
import { natsAuthorization } from "./nats-authorization.ts";
import { redisUsers } from "./redis-users.ts";

/**
 * The environment of `docker compose`: what compose.yaml interpolates, in the names that it has there. The client needs all
 * the rest to find its engine; containers get only what their service names.
 */
export function dockerEnvironment(
  { env, accounts, credentials }: { env: NodeJS.ProcessEnv; accounts: readonly Account[]; credentials: Credentials },
  ports: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  return { ...env, ...composeVariables(accounts, credentials), ...ports };
}

/** The variables of compose.yaml that say who may connect to the servers, and with what. */
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
