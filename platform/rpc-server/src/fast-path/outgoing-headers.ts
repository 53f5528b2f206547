import type { OutgoingHttpHeaders } from "node:http";
import type { NodeHeaders } from "@shop/http-port";

/**
 * Adds the headers that a method set to those that Node sends. Cookies stay separate, since `set-cookie` values cannot be
 * joined.
 */
export function addHeaders(head: OutgoingHttpHeaders, headers: NodeHeaders, prefix = ""): void {
  if (headers.isUntouched) return;
  for (const [name, value] of headers) if (name !== "set-cookie") head[prefix + name] = value;
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) head[`${prefix}set-cookie`] = cookies;
}
