// An application that uses the client: it runs in Node, is bundled for a page, and compiles without Node's types.
import { createShop, reasonOf } from "@shop/client";
import { ProductState } from "@shop/gen/shop/inventory/v1/inventory_service_pb";

/** The products of a shop, and the error reason for one that does not exist. */
export async function callShop(baseUrl: string): Promise<string> {
  const shop = createShop({ baseUrl });
  const { products } = await shop.inventory.listProducts({});
  const sold = products.filter(({ state }) => state === ProductState.ACTIVE);
  const reason = await shop.inventory
    .getProductByID({ productId: "product_01h455vb4pex5vsknk084sn02q" })
    .then(() => "found", reasonOf);
  return [...sold.map(({ name }) => name), reason].join(", ");
}
