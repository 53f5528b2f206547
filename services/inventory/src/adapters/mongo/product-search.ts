import { type Collection, type Filter, type IndexDescription, MongoServerError } from "mongodb";
import type { Listed, ProductSearch } from "../../application/ports/product-search.ts";
import { searchTooBroad } from "../../domain/errors.ts";
import { foldText } from "../../domain/fold-text.ts";
import type { Listing, ListingOrder, ListingPosition, PriceRange } from "../../domain/listing.ts";
import {
  type AnyOf,
  anywhere,
  anywhereCorrected,
  attributeTerm,
  type Corrections,
  categoryTerm,
  correctedTier,
  everyProduct,
  inName,
  queryWords,
  type TermQuery,
  tiersOf,
} from "../../domain/search-terms.ts";
import { byUse } from "./categories.ts";
import { fromDocument, type ProductDocument } from "./product-document.ts";
import type { Vocabulary } from "./vocabulary.ts";

type ProductFilter = Filter<ProductDocument>;
const prices = ["price.currency_code", "price.minor_units"] as const;

/** The sort keys of each index. Its fields are the terms and in_stock, then these, then the price, for filters. */
const keysOf = {
  newest: ["_id"],
  name: ["name_key", "_id"],
  price: [...prices, "_id"],
} as const;
type SearchIndex = keyof typeof keysOf;

export const searchIndexes: readonly IndexDescription[] = Object.entries(keysOf).map(([name, keys]) => {
  const fields = new Set<string>(["terms", "in_stock", ...keys, ...prices]);
  return { name, key: Object.fromEntries([...fields].map((field) => [field, 1])) };
});

const sortings: Readonly<Record<ListingOrder, { readonly index: SearchIndex; readonly direction: 1 | -1 }>> = {
  // Within a tier, the newest come first.
  relevance: { index: "newest", direction: -1 },
  newest: { index: "newest", direction: -1 },
  name: { index: "name", direction: 1 },
  "name desc": { index: "name", direction: -1 },
  price: { index: "price", direction: 1 },
  "price desc": { index: "price", direction: -1 },
};

const maxQueryMs = 2_000;
const maxCounted = 10_000;
const maxCategories = 100;
/** A price range with at most this many products is read by the price index and sorted in memory, for any order. */
const maxSorted = 500;

export function createProductSearch(on: {
  readonly products: Collection<ProductDocument>;
  readonly vocabulary: Vocabulary;
  readonly maxTimeMs?: number;
}): ProductSearch {
  const { products, vocabulary, maxTimeMs: maxTimeMS = maxQueryMs } = on;

  /** Counts the products of the price range that have one of the terms, up to `most`. Reads index keys only. */
  async function countPriced(listing: Listing, terms: AnyOf, most: number): Promise<number> {
    const filter = { $and: [hasOne(terms), ...stockAndPrices(listing)] };
    const [counted] = await products
      .aggregate<{ count: number }>([{ $match: filter }, { $limit: most }, { $count: "count" }], {
        hint: "price",
        maxTimeMS,
      })
      .toArray();
    return counted?.count ?? 0;
  }

  /**
   * The index to read a tier by; undefined when the tier is empty. A price range of few products is read by the price index: any other
   * index might be scanned from end to end for it.
   */
  async function indexFor(listing: Listing, terms: TermQuery): Promise<SearchIndex | undefined> {
    const { index } = sortings[listing.order];
    if (listing.prices === undefined) return index;
    const counts = (most: number) => termsIn(listing, terms).map((anyOf) => countPriced(listing, anyOf, most));
    const fewest = async (most: number) => Math.min(...(await Promise.all(counts(most)).catch(explain)));
    if ((await fewest(1)) === 0) return undefined;
    return index === "price" || (await fewest(maxSorted + 1)) <= maxSorted ? "price" : index;
  }

  async function listTier(
    listing: Listing,
    { terms, tier, hint }: { readonly terms: TermQuery; readonly tier: number; readonly hint: SearchIndex },
    after: ListingPosition | undefined,
    limit: number,
  ): Promise<Listed[]> {
    const { index, direction } = sortings[listing.order];
    const keys = keysOf[index].filter((key) => !isFixed(key, listing.prices));
    const found: Listed[] = [];
    for (const { range, sort } of rangesAfter(keys, direction, after?.values)) {
      if (found.length === limit) break;
      const filter: ProductFilter = { $and: [...conditions(listing, terms), range] };
      const documents = await products
        .find(filter, { hint, maxTimeMS })
        .sort(sort)
        .limit(limit - found.length)
        .toArray()
        .catch(explain);
      found.push(...documents.map((document) => toListed(document, keys, tier)));
    }
    return found;
  }

  async function countByCategory(listing: Listing, all: readonly AnyOf[]) {
    const filter = { $and: conditions({ ...listing, category: undefined }, { all, none: [] }) };
    return await products
      .aggregate<{ _id: string; count: number }>(
        [{ $match: filter }, { $limit: maxCounted + 1 }, { $group: { _id: "$category", count: { $sum: 1 } } }],
        { hint: listing.prices === undefined ? "newest" : "price", maxTimeMS },
      )
      .toArray()
      .catch(explain);
  }

  /** Corrections of the query's words; undefined when no word has any. */
  async function correctionsFor({ query }: Listing): Promise<Corrections | undefined> {
    const corrections = query === undefined ? undefined : await vocabulary.correct(queryWords(query));
    return corrections?.size ? corrections : undefined;
  }

  return {
    async list(listing, after, limit) {
      const tiers = tiersOfListing(listing);
      const found: Listed[] = [];
      const add = async (terms: TermQuery, tier: number, hint: SearchIndex | undefined) => {
        if (hint === undefined || found.length === limit || tier < (after?.tier ?? 0)) return;
        const from = tier === after?.tier ? after : undefined;
        found.push(...(await listTier(listing, { terms, tier, hint }, from, limit - found.length)));
      };
      const hints = await Promise.all(tiers.map((terms) => indexFor(listing, terms)));
      for (const [tier, terms] of tiers.entries()) await add(terms, tier, hints[tier]);

      const hasExactMatches = found.length > 0 || (after !== undefined && after.tier < tiers.length);
      if (found.length === limit || (listing.order !== "relevance" && hasExactMatches)) return found;
      const corrections = await correctionsFor(listing);
      if (corrections === undefined) return found;
      const corrected = correctedTier(listing.query!, corrections);
      await add(corrected, tiers.length, await indexFor(listing, corrected));
      return found;
    },

    async countCategories(listing) {
      const everywhere = listing.query === undefined ? [] : anywhere(listing.query);
      if (everywhere === undefined) return { counts: [], isPartial: false };
      let groups = await countByCategory(listing, everywhere);
      const corrections = groups.length === 0 ? await correctionsFor(listing) : undefined;
      if (corrections !== undefined)
        groups = await countByCategory(listing, anywhereCorrected(listing.query!, corrections));
      // Spellings of one category are counted together, under the most used one.
      const counts = [...Map.groupBy(groups.toSorted(byUse), ({ _id }) => foldText(_id)).values()]
        .map((spellings) => ({
          category: spellings[0]!._id,
          count: spellings.reduce((sum, { count }) => sum + count, 0),
        }))
        .sort((a, b) => b.count - a.count || (a.category < b.category ? -1 : 1));
      const isPartial = counts.reduce((sum, { count }) => sum + count, 0) > maxCounted;
      return { counts: counts.slice(0, maxCategories), isPartial };
    },
  };
}

function explain(error: unknown): never {
  const maxTimeMSExpired = 50;
  if (error instanceof MongoServerError && error.code === maxTimeMSExpired) throw searchTooBroad();
  throw error;
}

/** A listing by relevance reads the tiers one after the other; every other order has a single tier. */
function tiersOfListing({ query, order }: Listing): readonly TermQuery[] {
  if (query === undefined) return [{ all: [], none: [] }];
  if (order === "relevance") return tiersOf(query);
  const all = anywhere(query);
  return all === undefined ? [] : [{ all, none: [] }];
}

/** The terms of a tier. Never empty, because terms are the first field of every index. */
function termsIn({ name, category, attributes }: Listing, { all }: TermQuery): AnyOf[] {
  const terms: AnyOf[] = [
    ...(category === undefined ? [] : [[categoryTerm(category)]]),
    ...attributes.map((attribute) => [attributeTerm(attribute)]),
    ...(name === undefined ? [] : (inName(name) ?? [[]])),
    ...all,
  ];
  return terms.length === 0 ? [[everyProduct]] : terms;
}

/** Always has a condition for in_stock, because it is the second field of every index. */
function stockAndPrices({ inStock, prices }: Listing): ProductFilter[] {
  return [{ in_stock: inStock || { $in: [true, false] } }, ...(prices === undefined ? [] : [priceFilter(prices)])];
}

function conditions(listing: Listing, terms: TermQuery): ProductFilter[] {
  return [
    ...termsIn(listing, terms).map(hasOne),
    ...terms.none.map((better): ProductFilter => ({ $nor: [{ $and: better.map(hasOne) }] })),
    ...stockAndPrices(listing),
  ];
}

function priceFilter({ currencyCode, from, to }: PriceRange): ProductFilter {
  const amount = { ...(from !== undefined && { $gte: from }), ...(to !== undefined && { $lte: to }) };
  return {
    "price.currency_code": currencyCode,
    ...(Object.keys(amount).length > 0 && { "price.minor_units": amount }),
  };
}

/** Whether the filter fixes this sort key. If it were sorted by, too, MongoDB would read all matches and sort them in memory. */
function isFixed(key: string, range: PriceRange | undefined): boolean {
  if (range === undefined) return false;
  return key === "price.currency_code" || (key === "price.minor_units" && range.from === range.to && "from" in range);
}

function hasOne(terms: AnyOf): ProductFilter {
  const [term] = terms;
  return { terms: terms.length === 1 ? term! : { $in: [...terms] } };
}

/**
 * The keys after `values`, as consecutive ranges of an index: first those that share all values but the last, and so on. A range is
 * sorted by the keys that vary in it.
 */
function rangesAfter(
  keys: readonly string[],
  direction: 1 | -1,
  values: readonly unknown[] | undefined,
): { readonly range: ProductFilter; readonly sort: [string, 1 | -1][] }[] {
  const sort = keys.map((key): [string, 1 | -1] => [key, direction]);
  if (values === undefined) return [{ range: {}, sort }];
  const further = direction === 1 ? "$gt" : "$lt";
  return keys
    .map((key, index) => {
      const same = keys.slice(0, index).map((before, at) => [before, values[at]]);
      return {
        range: { ...Object.fromEntries(same), [key]: { [further]: values[index] } },
        sort: sort.slice(index),
      };
    })
    .reverse();
}

function toListed(document: ProductDocument, keys: readonly string[], tier: number): Listed {
  const sorted: Readonly<Record<string, string | number>> = {
    _id: document._id,
    name_key: document.name_key,
    "price.currency_code": document.price.currency_code,
    "price.minor_units": Number(document.price.minor_units),
  };
  return { product: fromDocument(document), position: { tier, values: keys.map((key) => sorted[key]!) } };
}
