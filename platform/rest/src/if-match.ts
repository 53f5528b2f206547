import { Code, ConnectError } from "@connectrpc/connect";
import { withHttpStatus } from "./http-status.ts";
import { invalidRequest } from "./invalid-request.ts";

/**
 * The entity tag in If-Match (RFC 9110, 13.1.1), without quotes, for the field `etag`. Undefined for "*", which any existing
 * resource matches: a missing one is NOT_FOUND with and without it (13.2.1).
 *
 * @throws ConnectError aborted as HTTP 412 for a weak tag, since If-Match compares strongly and weak tags never match;
 * invalid_argument for several tags, which one field can't hold, and for an invalid tag
 */
export function demandedTag(ifMatch: string): string | undefined {
  const text = ifMatch.trim();
  if (text === "*") return undefined;
  const [, weak, tag] = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/.exec(text) ?? [];
  if (tag === undefined || tag === "")
    throw invalidRequest({ field: "If-Match", description: 'must be * or one entity tag in quotes, such as "v1"' });
  if (weak !== undefined)
    throw preconditionFailed(
      new ConnectError("If-Match compares strongly: a weak entity tag never matches", Code.Aborted),
    );
  // In an ETag the message's own tag is followed by a hash of the answer.
  return tag.replace(/\.[\w-]{22}$/, "");
}

/** Turns an aborted error of a request with If-Match into 412, HTTP's status for a failed condition. */
export function preconditionFailed(error: ConnectError): ConnectError {
  return error.code === Code.Aborted ? withHttpStatus(error, 412) : error;
}
