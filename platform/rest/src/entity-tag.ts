import { createHash } from "node:crypto";

/** Characters of an entity tag (RFC 9110, 8.8.3), except the dot that separates its parts here. */
const ownTag = /^[\x21\x23-\x2d\x2f-\x7e]+$/;

/**
 * The strong entity tag of a body: its hash. If the message has its own tag, which may stay the same while the rest changes, it
 * comes first, followed by a dot: `"v3.<hash>"`.
 *
 * @param own the text of the message's field `etag`, if it has one
 */
export function entityTag(body: Uint8Array, own: string | undefined): string {
  const hash = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  return own !== undefined && ownTag.test(own) ? `"${own}.${hash}"` : `"${hash}"`;
}

/** Whether If-None-Match contains the tag, by weak comparison (RFC 9110, 13.1.2). */
export function namesTag(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  return [...ifNoneMatch.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, named]) => named === tag);
}
