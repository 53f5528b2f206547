import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import DataLoader from "dataloader";
import type { Catalogue, Offer } from "../../application/ports/catalogue.ts";
import { catalogueUnavailable } from "../../domain/errors.ts";
import { callInventory } from "./call-inventory.ts";

/** Leaves the rest of the caller's deadline for storing the order. */
const timeoutMs = 3_000;
/** The longest that an order waits to be batched. */
const maxBatchWaitMs = 20;

/**
 * Reads offers in batches: while a call is in flight, orders that arrive collect in the next batch, of up to 100 products, the maximum
 * of BatchGetProducts. A batch is sent when the call before it ends, or after {@link maxBatchWaitMs}.
 */
export function createCatalogue(inventory: Client<typeof InventoryService>): Catalogue {
  let inFlight: Promise<unknown> = Promise.resolve();
  const loader = new DataLoader<string, Offer | undefined>(
    async (productIds) => {
      const offers = fetchOffers(inventory, [...new Set(productIds)]);
      inFlight = Promise.race([offers.catch(() => {}), delay(maxBatchWaitMs)]);
      const found = await offers;
      return productIds.map((productId) => found.get(productId));
    },
    {
      // An order is priced by a fresh read, never by a cache.
      cache: false,
      maxBatchSize: 100,
      batchScheduleFn: (send) => void inFlight.then(() => setImmediate(send)),
    },
  );
  return {
    async offers(productIds) {
      const offers = await Promise.all(productIds.map(async (id) => [id, await loader.load(id)] as const));
      return new Map(offers.filter((entry): entry is readonly [string, Offer] => entry[1] !== undefined));
    },
  };
}

const offerFields = { paths: ["name", "price"] };

async function fetchOffers(
  inventory: Client<typeof InventoryService>,
  productIds: readonly string[],
): Promise<ReadonlyMap<string, Offer>> {
  const { products } = await callInventory(
    inventory.batchGetProducts({ productIds: [...productIds], readMask: offerFields }, { timeoutMs }),
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
