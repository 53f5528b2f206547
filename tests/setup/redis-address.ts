import type { NetConnectOpts } from "node:net";

/** The address of a Redis URL, `redis://` or `unix://`, and its AUTH command; empty without credentials. */
export function redisAddress(url: string): { readonly address: NetConnectOpts; readonly auth: string } {
  const [, user, password, path] = /^\w+:\/\/(?:([^:@/]*):([^@/]*)@)?(.*)$/.exec(url) ?? [];
  const auth = user === undefined ? "" : `AUTH ${user} ${password}\r\n`;
  if (path?.startsWith("/")) return { address: { path }, auth };
  const { hostname, port } = new URL(url);
  return { address: { host: hostname, port: Number(port) }, auth };
}
