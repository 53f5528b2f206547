import { type Account, inboxOf, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";

/**
 * The value of `authorization` in NATS's configuration, with public keys only, in JSON, which is valid there. Users belong to
 * the global account, which also has the streams of older versions without users.
 */
export function natsAuthorization(accounts: readonly Account[], credentials: Credentials): string {
  const user = (name: string, publish: readonly string[], subscribe: readonly string[]) => ({
    nkey: credentials.accounts[name]!.natsPublicKey,
    permissions: { publish: { allow: publish }, subscribe: { allow: subscribe } },
  });
  const users = [
    user(operator, [">"], [">"]),
    ...accounts.map(({ name, nats }) => user(name, nats.publish, [`${inboxOf(name)}.>`, ...nats.subscribe])),
  ];
  return JSON.stringify({ users });
}
