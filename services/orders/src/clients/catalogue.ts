import { type Client, ConnectError } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { isDependencyLost, type Money } from "@shop/platform";
import DataLoader from "dataloader";
import { catalogueUnavailable } from "../domain/errors.ts";

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

/** Orders that are placed at the same time ask together: up to 100 products in one call, which is what it takes. */
export function createCatalogue(inventory: Client<typeof InventoryService>): Catalogue {
  const loader = new DataLoader<string, Offer | undefined>(
    async (productIds) => {
      const offers = await askFor(inventory, [...new Set(productIds)]);
      return productIds.map((productId) => offers.get(productId));
    },
    // A price that decides an order is never remembered.
    { cache: false, maxBatchSize: 100 },
  );
  return {
    async offers(productIds) {
      const offers = await Promise.all(productIds.map(async (id) => [id, await loader.load(id)] as const));
      return new Map(offers.filter((entry): entry is readonly [string, Offer] => entry[1] !== undefined));
    },
  };
}

async function askFor(
  inventory: Client<typeof InventoryService>,
  productIds: readonly string[],
): Promise<ReadonlyMap<string, Offer>> {
  try {
    const { products } = await inventory.batchGetProducts({ productIds: [...productIds] });
    return new Map(
      products.map(({ productId, name, price }) => [
        productId,
        { name, price: { currencyCode: price!.currencyCode, minorUnits: price!.minorUnits } },
      ]),
    );
  } catch (error) {
    if (isDependencyLost(error)) throw catalogueUnavailable(error);
    // Whatever else inventory refuses is our mistake, not our caller's: its code must not become ours.
    throw new Error("inventory refused BatchGetProducts", { cause: ConnectError.from(error) });
  }
}
