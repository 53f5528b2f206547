import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import { invalidFields } from "./errors.ts";

export const defaultPageSize = 20;

/** Turns the place where a page ended into an opaque token, and back (AIP-158). */
export interface PageTokens {
  /** `query` binds the token to the filters it was made for. */
  seal(place: unknown, query: unknown): string;
  /** Throws INVALID_ARGUMENT when the token was not made here, or for other filters. */
  open<Place>(token: string, query: unknown): Place;
}

/**
 * Tokens signed with a key derived from the first of `secrets` as they are then; those signed by way of another one are good,
 * too. Replicas that share a secret read each other's.
 */
export function createPageTokens(secrets: () => readonly string[]): PageTokens {
  const derived = new LRUCache<string, Buffer>({ max: 10 });
  function keyFrom(secret: string): Buffer {
    const key = derived.get(secret) ?? Buffer.from(hkdfSync("sha256", secret, "", "page-token", 32));
    derived.set(secret, key);
    return key;
  }
  const sign = (secret: string, place: string, query: unknown) =>
    createHmac("sha256", keyFrom(secret))
      .update(place)
      .update("\0")
      .update(JSON.stringify(query))
      .digest()
      .subarray(0, 16);
  return {
    seal(place, query) {
      const text = JSON.stringify(place);
      return Buffer.concat([sign(secrets()[0]!, text, query), Buffer.from(text)]).toString("base64url");
    },
    open(token, query) {
      const bytes = Buffer.from(token, "base64url");
      const text = bytes.subarray(16).toString();
      const isOurs = (secret: string) => timingSafeEqual(sign(secret, text, query), bytes.subarray(0, 16));
      if (bytes.length <= 16 || !secrets().some(isOurs)) {
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
