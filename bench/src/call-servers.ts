import { once } from "node:events";
import { create, fromBinary, type MessageInitShape, toBinary, toJson } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type UntypedHandleCall } from "@grpc/grpc-js";
import { isPublicRead } from "@shop/auth";
import { createLogger } from "@shop/core";
import {
  GetProductByIDRequestSchema,
  GetProductByIDResponseSchema,
  InventoryService,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { forwardTo } from "@shop/proxy";
import { createRouterOptions, listen } from "@shop/rpc-server";
import { requestValidator } from "@shop/runtime";
import { taskOf } from "./part.ts";

// Servers that answer GetProductByID with the same product, each in its own process, to measure the cost of a call alone.

const method = InventoryService.method.getProductByID;
export const path = `/${InventoryService.typeName}/${method.name}`;
export const productId = "product_01h455vb4pex5vsknk084sn02q";

const answer: MessageInitShape<typeof GetProductByIDResponseSchema> = {
  product: {
    productId,
    name: "Espresso cup, 80 ml",
    description: "Thick porcelain keeps it warm. Dishwasher-safe, stacks well, and comes in a box of one.",
    category: "cups",
    sku: "CUP-80",
    price: { currencyCode: "EUR", minorUnits: 1290n },
    stock: 42,
    etag: "3",
    createTime: { seconds: 1_790_000_000n },
    updateTime: { seconds: 1_790_000_000n },
  },
};

export const requestBytes = () =>
  toBinary(GetProductByIDRequestSchema, create(GetProductByIDRequestSchema, { productId }));
export const answerJson = () => toJson(GetProductByIDResponseSchema, create(GetProductByIDResponseSchema, answer));

/** The options of a platform port. */
export interface PlatformTask {
  readonly fastPath: boolean;
  /** The upstream that it forwards the call to; absent if it answers itself. */
  readonly upstream?: string;
}

/** A port of the platform with the complete pipeline of a service. */
export async function servePlatform(): Promise<void> {
  const { fastPath, upstream } = await taskOf<PlatformTask>();
  const log = createLogger("error");
  const authorize = async () => ({ kind: "anonymous" }) as const;
  const { port } = await listen({
    name: "bench",
    services: [{ ...InventoryService, methods: [method] }],
    hosted: () =>
      upstream === undefined
        ? (router) => router.service(InventoryService, { getProductByID: () => answer })
        : undefined,
    routerOptions: createRouterOptions({
      authorize,
      isPublicRead,
      validator: requestValidator,
      log,
      metrics: undefined,
    }),
    fastPath,
    authorize,
    ...(upstream !== undefined && {
      forwarding: forwardTo({ upstreams: [{ name: "inventory", service: InventoryService, urls: [upstream] }] }),
    }),
    reflection: false,
    log,
  });
  process.send!(`http://127.0.0.1:${port}`);
}

/** The same in @grpc/grpc-js, with the same library for messages. */
export async function serveGrpcJs(): Promise<void> {
  await taskOf();
  const server = new Server();
  const implementation: UntypedHandleCall = (
    _call: unknown,
    callback: (error: null, message: typeof GetProductByIDResponseSchema) => void,
  ) => callback(null, create(GetProductByIDResponseSchema, answer) as never);
  server.addService(
    {
      getProductByID: {
        path,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => fromBinary(GetProductByIDRequestSchema, bytes),
        requestSerialize: () => Buffer.alloc(0),
        responseSerialize: (message) => Buffer.from(toBinary(GetProductByIDResponseSchema, message)),
        responseDeserialize: () => undefined,
      },
    },
    { getProductByID: implementation },
  );
  const bound = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
    error ? bound.reject(error) : bound.resolve(port),
  );
  process.send!(`http://127.0.0.1:${await bound.promise}`);
  await once(process, "disconnect");
}
