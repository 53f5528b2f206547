import { createHash } from "node:crypto";

/** What an entity tag may consist of (RFC 9110, 8.8.3), less what separates its parts here. */
const ownTag = /^[\x21\x23-\x2d\x2f-\x7e]+$/;

/**
 * The strong entity tag of a body: its hash. Where the message has a tag of its own, which may stay while the rest changes, that
 * goes before, and a dot: `"v3.<hash>"`.
 *
 * @param own the text of the message's field `etag`, if it has one
 */
export function entityTag(body: Uint8Array, own: string | undefined): string {
  const hash = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  return own !== undefined && ownTag.test(own) ? `"${own}.${hash}"` : `"${hash}"`;
}

/** Whether If-None-Match names the tag; tags are compared weakly, as it demands (RFC 9110, 13.1.2). */
export function namesTag(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  return [...ifNoneMatch.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, named]) => named === tag);
}
