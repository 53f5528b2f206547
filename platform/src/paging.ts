import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { invalidFields } from "./errors.ts";

export const defaultPageSize = 20;

/** Turns the place where a page ended into an opaque token, and back (AIP-158). */
export interface PageTokens {
  /** `query` binds the token to the filters it was made for. */
  seal(place: unknown, query: unknown): string;
  /** Throws INVALID_ARGUMENT when the token was not made here, or for other filters. */
  open<Place>(token: string, query: unknown): Place;
}

/** Tokens signed with a key derived from `secret`; replicas that share the secret read each other's. */
export function createPageTokens(secret: string): PageTokens {
  const key = Buffer.from(hkdfSync("sha256", secret, "", "page-token", 32));
  const sign = (place: string, query: unknown) =>
    createHmac("sha256", key).update(place).update("\0").update(JSON.stringify(query)).digest().subarray(0, 16);
  return {
    seal(place, query) {
      const text = JSON.stringify(place);
      return Buffer.concat([sign(text, query), Buffer.from(text)]).toString("base64url");
    },
    open(token, query) {
      const bytes = Buffer.from(token, "base64url");
      const text = bytes.subarray(16).toString();
      if (bytes.length <= 16 || !timingSafeEqual(sign(text, query), bytes.subarray(0, 16))) {
        throw invalidFields([
          { field: "page_token", description: "is not the next_page_token of a page with the same filters" },
        ]);
      }
      return JSON.parse(text);
    },
  };
}

/** A page of documents read as one more than asked for: the page, and whether there is more. */
export function cutPage<Item>(
  items: readonly Item[],
  pageSize: number,
): { page: readonly Item[]; last: Item | undefined } {
  const page = items.slice(0, pageSize);
  return { page, last: items.length > pageSize ? page.at(-1) : undefined };
}
