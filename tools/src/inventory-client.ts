import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { createInternalCredentials, internalCredentialHeader } from "@shop/platform";

/** A client of the inventory service, as the part of the platform called `name`. */
export function inventoryClient(options: {
  readonly name: string;
  readonly inventoryUrl: string;
  readonly internalSecret: string;
  readonly timeoutMs: number;
}): Client<typeof InventoryService> {
  const credentials = createInternalCredentials(options.name, options.internalSecret);
  const signed: Interceptor = (next) => async (request) => {
    request.header.set(internalCredentialHeader, await credentials.issue());
    return await next(request);
  };
  const transport = createConnectTransport({
    baseUrl: options.inventoryUrl,
    defaultTimeoutMs: options.timeoutMs,
    httpVersion: "1.1",
    interceptors: [signed],
  });
  return createClient(InventoryService, transport);
}
