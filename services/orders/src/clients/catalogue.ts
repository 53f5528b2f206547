import { type Client, ConnectError } from "@connectrpc/connect";
import type { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { isDependencyLost, type Money } from "@shop/platform";
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

export function createCatalogue(inventory: Client<typeof InventoryService>): Catalogue {
  return {
    async offers(productIds) {
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
    },
  };
}
