import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { createLogger, createServiceCredentials, internalCredentialHeader, readServiceKeys } from "@shop/platform";
import { serviceKeyFiles } from "./service-keys.ts";

/** A client of the inventory service, as the starter. Throws a ConfigError when its key is not in `dataDir`. */
export function inventoryClient(options: {
  readonly inventoryUrl: string;
  readonly dataDir: string;
  readonly timeoutMs: number;
}): Client<typeof InventoryService> {
  const { privateFile, publicFile } = serviceKeyFiles(options.dataDir);
  const credentials = createServiceCredentials(
    readServiceKeys({
      privateFiles: [privateFile("starter")],
      publicFile,
      services: ["starter"],
      log: createLogger("error"),
    }),
  );
  const signed: Interceptor = (next) => async (request) => {
    request.header.set(internalCredentialHeader, credentials.issue("starter", "inventory", "call"));
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
