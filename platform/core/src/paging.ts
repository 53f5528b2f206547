import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import { invalidFields } from "./errors.ts";

export const defaultPageSize = 20;

/** Converts the position where a page ended into an opaque token, and back (AIP-158). */
export interface PageTokens {
  /** @param query the filters that the token is bound to */
  seal(place: unknown, query: unknown): string;
  /** @throws INVALID_ARGUMENT if the token was not created here, or for other filters */
  open<Place>(token: string, query: unknown): Place;
}

/**
 * Page tokens signed with a key derived from the first of the current `secrets`; those signed with any other of them are valid,
 * too. Replicas that share a secret accept each other's tokens.
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

/**
 * Cuts a page from items of which one more than `pageSize` was read. `last` is the last item of the page if there are more
 * pages, else undefined.
 */
export function cutPage<Item>(
  items: readonly Item[],
  pageSize: number,
): { page: readonly Item[]; last: Item | undefined } {
  const page = items.slice(0, pageSize);
  return { page, last: items.length > pageSize ? page.at(-1) : undefined };
}
