import { createHash } from "node:crypto";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";

/** Commands that affect more than data: files, the process, other servers, other users. No account has them. */
const forbiddenToAll = [
  ...["acl", "bgrewriteaof", "bgsave", "config", "debug", "migrate", "module", "monitor", "replicaof", "save"],
  ...["script", "shutdown", "slaveof", "failover", "function", "psync", "sync", "swapdb"],
];

/**
 * The ACL lines of redis.conf: https://valkey.io/topics/acl Passwords are in them as SHA-256 only,
 * and connections without one are refused.
 */
export function redisUsers(accounts: readonly Account[], credentials: Credentials): string[] {
  const user = (name: string, ...rules: string[]) => {
    const { redisPassword } = credentials.accounts[name]!;
    return `user ${name} on #${createHash("sha256").update(redisPassword).digest("hex")} resetchannels ${rules.join(" ")}`;
  };
  return [
    "user default off",
    user(operator, "~*", "&*", "+@all", ...forbiddenToAll.map((command) => `-${command}`)),
    ...accounts.map(({ name, redis: { keys, channels, commands } }) =>
      user(
        name,
        ...keys.map((pattern) => `~${pattern}`),
        ...channels.map((pattern) => `&${pattern}`),
        "-@all",
        ...commands.map((command) => `+${command}`),
      ),
    ),
  ];
}
