import type { OutgoingHttpHeaders } from "node:http";
import type { NodeHeaders } from "@shop/http-port";

/** Adds what a method said in headers to those that Node sends; cookies stay apart, since they cannot be joined. */
export function addHeaders(head: OutgoingHttpHeaders, said: NodeHeaders, prefix = ""): void {
  if (said.isUntouched) return;
  for (const [name, value] of said) if (name !== "set-cookie") head[prefix + name] = value;
  const cookies = said.getSetCookie();
  if (cookies.length > 0) head[`${prefix}set-cookie`] = cookies;
}
