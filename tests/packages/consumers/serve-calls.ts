// A server that uses the higher packages: every protocol in a Fastify application, described by OpenAPI.
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { InventoryService, ProductState } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { openApiDocument } from "@shop/openapi";
import { createRpc } from "@shop/rpc-server";
import { fastify } from "fastify";
import { callShop } from "./call-shop.ts";

const document = openApiDocument({ info: { title: "Inventory", version: "1" }, services: [InventoryService] });
const rpc = createRpc({
  services: [InventoryService],
  hosted: () => (router: ConnectRouter) => {
    router.service(InventoryService, {
      listProducts: () => ({ products: [{ name: "Kettle", state: ProductState.ACTIVE }] }),
      getProductByID: () => {
        const reason = { desc: ErrorInfoSchema, value: { reason: "PRODUCT_NOT_FOUND" } };
        throw new ConnectError("there is no such product", Code.NotFound, undefined, [reason]);
      },
    });
  },
  authorize: async () => ({ name: "anybody" }),
  openApi: Buffer.from(JSON.stringify(document)),
});
const app = fastify({ serverFactory: rpc.serverFactory });
await app.register(rpc.plugin);
app.addHook("onClose", async () => rpc.close());
const baseUrl = await app.listen({ host: "127.0.0.1", port: 0 });

const rest = await (await fetch(`${baseUrl}/products`)).text();
const docs = await fetch(`${baseUrl}/docs`);
const script = await fetch(`${baseUrl}/openapi.json`);
console.log(rest, docs.status, script.status, await callShop(baseUrl));
await app.close();
