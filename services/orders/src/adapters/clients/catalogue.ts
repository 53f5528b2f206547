import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Money } from "@shop/money";
import DataLoader from "dataloader";
import { catalogueUnavailable } from "../../domain/errors.ts";
import { askInventory } from "./ask-inventory.ts";

/** What a product is called and costs now. */
export interface Offer {
  readonly name: string;
  readonly price: Money;
}

/** The catalogue, as orders see it. */
export interface Catalogue {
  /** Offers by product id; what is not sold is missing. Throws CATALOGUE_UNAVAILABLE. */
  offers(productIds: readonly string[]): Promise<ReadonlyMap<string, Offer>>;
}

/** What is left of the time that a call may take is for storing the order. */
const timeoutMs = 3_000;
/** So long at most an order waits for the call before its own. */
const gatherMs = 20;

/**
 * Orders that are placed while a call is on its way ask together in the next one: for up to 100 products, which is what it
 * takes.
 */
export function createCatalogue(inventory: Client<typeof InventoryService>): Catalogue {
  let asked: Promise<unknown> = Promise.resolve();
  const loader = new DataLoader<string, Offer | undefined>(
    async (productIds) => {
      const offers = askFor(inventory, [...new Set(productIds)]);
      asked = Promise.race([offers.catch(() => {}), delay(gatherMs)]);
      const found = await offers;
      return productIds.map((productId) => found.get(productId));
    },
    {
      // A price that decides an order is never remembered.
      cache: false,
      maxBatchSize: 100,
      batchScheduleFn: (ask) => void asked.then(() => setImmediate(ask)),
    },
  );
  return {
    async offers(productIds) {
      const offers = await Promise.all(productIds.map(async (id) => [id, await loader.load(id)] as const));
      return new Map(offers.filter((entry): entry is readonly [string, Offer] => entry[1] !== undefined));
    },
  };
}

const offered = { paths: ["name", "price"] };

async function askFor(
  inventory: Client<typeof InventoryService>,
  productIds: readonly string[],
): Promise<ReadonlyMap<string, Offer>> {
  const { products } = await askInventory(
    inventory.batchGetProducts({ productIds: [...productIds], readMask: offered }, { timeoutMs }),
    "BatchGetProducts",
    catalogueUnavailable,
  );
  return new Map(
    products.map(({ productId, name, price }) => [
      productId,
      { name, price: { currencyCode: price!.currencyCode, minorUnits: price!.minorUnits } },
    ]),
  );
}
