// A server that uses the protocol packages: REST of the contracts, for HTTP/1.1 and HTTP/2 on one port of Fastify.
import { connect } from "node:http2";
import { text } from "node:stream/consumers";
import { create, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { ErrorInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import {
  InventoryService,
  ListProductsResponseSchema,
  ProductState,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { onePortServerFactory } from "@shop/http-port";
import { createTranscoder, handleNodeRequest, httpStatus, invokeTransport } from "@shop/rest";
import { fastify } from "fastify";
import { callShop } from "./call-shop.ts";

const listed: MessageInitShape<typeof ListProductsResponseSchema> = {
  products: [{ name: "Kettle", state: ProductState.ACTIVE }],
};
const notFound = new ConnectError("there is no such product", Code.NotFound, undefined, [
  { desc: ErrorInfoSchema, value: { reason: "PRODUCT_NOT_FOUND" } },
]);
const transport = createRouterTransport((router) =>
  router.service(InventoryService, {
    listProducts: () => listed,
    getProductByID: () => {
      throw notFound;
    },
  }),
);
const transcoder = createTranscoder({ services: [InventoryService], invoke: invokeTransport(transport) });

const app = fastify({ serverFactory: onePortServerFactory() });
app.setNotFoundHandler(async (request, reply) => {
  reply.hijack();
  await handleNodeRequest(transcoder, request.raw, reply.raw);
});
// The parts of the Connect protocol that the client uses here.
app.post(`/${InventoryService.typeName}/ListProducts`, () =>
  toJson(ListProductsResponseSchema, create(ListProductsResponseSchema, listed)),
);
app.post(`/${InventoryService.typeName}/GetProductByID`, (_request, reply) =>
  reply.code(404).send(errorToJson(notFound, undefined)),
);
const baseUrl = await app.listen({ host: "127.0.0.1", port: 0 });

const overHttp1 = await (await fetch(`${baseUrl}/products`)).json();
const session = connect(baseUrl);
const overHttp2 = JSON.parse(await text(session.request({ ":path": "/products" }))) as unknown;
session.close();
if (JSON.stringify(overHttp1) !== JSON.stringify(overHttp2))
  throw new Error("the answers over HTTP/1.1 and HTTP/2 differ");
console.log(JSON.stringify(overHttp1), httpStatus(notFound), await callShop(baseUrl));
await app.close();
