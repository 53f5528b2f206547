import { type ConnectionOptions, nkeyAuthenticator } from "@nats-io/transport-node";

/**
 * Parses comma-separated NATS URLs for the client: `nats://host:4222`, with credentials as `nats://user:password@` or
 * `nats://token@`. A password that is the seed of an NKey is never sent: the client signs with it. Replies for a user arrive
 * under `_INBOX_<user>`, so that a server can keep users from reading each other's.
 */
export function natsServers(
  urls: string,
): Pick<ConnectionOptions, "servers" | "user" | "pass" | "token" | "authenticator" | "inboxPrefix"> {
  const parsed = urls.split(",").map((url) => new URL(/:\/\//.test(url) ? url.trim() : `nats://${url.trim()}`));
  const servers = parsed.map(({ host }) => host);
  const [user = "", password = ""] = [parsed[0]!.username, parsed[0]!.password].map(decodeURIComponent);
  if (user === "") return { servers };
  if (password === "") return { servers, token: user };
  const inboxPrefix = `_INBOX_${user}`;
  return /^SU[A-Z2-7]{56}$/.test(password)
    ? { servers, inboxPrefix, authenticator: nkeyAuthenticator(new TextEncoder().encode(password)) }
    : { servers, inboxPrefix, user, pass: password };
}
