import { Code, ConnectError } from "@connectrpc/connect";
import { withHttpStatus } from "./http-status.ts";
import { invalidRequest } from "./invalid-request.ts";

/**
 * The entity tag that If-Match demands (RFC 9110, 13.1.1), without its quotes, as a field named `etag` has it. Undefined for "*",
 * which whatever is there fits: what is not there is NOT_FOUND with and without it (13.2.1).
 *
 * @throws ConnectError aborted as HTTP 412 for a weak tag, since tags are compared strongly and weak ones never match;
 *   invalid_argument for several tags, which one field can't hold, and for what is no tag
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
  // What follows the message's own tag, in the ETag of what was read, is a hash of that answer.
  return tag.replace(/\.[\w-]{22}$/, "");
}

/** What is aborted under an If-Match is told as HTTP tells a condition that does not hold. */
export function preconditionFailed(error: ConnectError): ConnectError {
  return error.code === Code.Aborted ? withHttpStatus(error, 412) : error;
}
