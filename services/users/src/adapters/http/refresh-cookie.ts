import type { HandlerContext } from "@connectrpc/connect";
import { parseCookie, stringifySetCookie } from "cookie";

/** The prefix makes browsers refuse it from any other host and without TLS (RFC 6265bis, 4.1.3.2). */
const name = "__Host-refresh_token";
/** Scripts can't read it, and browsers don't send it with requests from other sites (docs/decisions/0019-refresh-token-cookie.md). */
const attributes = { path: "/", secure: true, httpOnly: true, sameSite: "strict" } as const;

/** The refresh token in the request's cookie. */
export function cookieOf({ requestHeader }: Pick<HandlerContext, "requestHeader">): string | undefined {
  return parseCookie(requestHeader.get("cookie") ?? "")[name];
}

/** Moves the response's refresh token into a cookie. */
export function inCookie<Answer extends { readonly refreshToken: string; readonly refreshExpiresInSeconds: number }>(
  answer: Answer,
  { responseHeader }: Pick<HandlerContext, "responseHeader">,
): Answer {
  const { refreshToken: value, refreshExpiresInSeconds: maxAge } = answer;
  responseHeader.append("set-cookie", stringifySetCookie({ ...attributes, name, value, maxAge }));
  return { ...answer, refreshToken: "" };
}

/** Makes the browser delete the cookie, if the request has it. */
export function dropCookie(context: Pick<HandlerContext, "requestHeader" | "responseHeader">): void {
  if (cookieOf(context) === undefined) return;
  context.responseHeader.append("set-cookie", stringifySetCookie({ ...attributes, name, value: "", maxAge: 0 }));
}
