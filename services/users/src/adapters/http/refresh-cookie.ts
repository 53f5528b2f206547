import type { HandlerContext } from "@connectrpc/connect";
import { parseCookie, stringifySetCookie } from "cookie";

/** The prefix makes browsers refuse it from any other host and without TLS (RFC 6265bis, 4.1.3.2). */
const name = "__Host-refresh_token";
/** Scripts can't read it, and no other site's page can have it sent (docs/decisions/0019-refresh-token-cookie.md). */
const attributes = { path: "/", secure: true, httpOnly: true, sameSite: "strict" } as const;

/** The refresh token that a browser sent by itself. */
export function cookieOf({ requestHeader }: Pick<HandlerContext, "requestHeader">): string | undefined {
  return parseCookie(requestHeader.get("cookie") ?? "")[name];
}

/** The answer with its refresh token in the cookie instead. */
export function inCookie<Answer extends { readonly refreshToken: string; readonly refreshExpiresInSeconds: number }>(
  answer: Answer,
  { responseHeader }: Pick<HandlerContext, "responseHeader">,
): Answer {
  const { refreshToken: value, refreshExpiresInSeconds: maxAge } = answer;
  responseHeader.append("set-cookie", stringifySetCookie({ ...attributes, name, value, maxAge }));
  return { ...answer, refreshToken: "" };
}

/** Makes a browser that has the cookie forget it. */
export function dropCookie(context: Pick<HandlerContext, "requestHeader" | "responseHeader">): void {
  if (cookieOf(context) === undefined) return;
  context.responseHeader.append("set-cookie", stringifySetCookie({ ...attributes, name, value: "", maxAge: 0 }));
}
