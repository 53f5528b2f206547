import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createServiceCredentials, readServiceKeys } from "@shop/auth";
import { createLogger } from "@shop/core";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { portVariable, type ServiceName, urlVariable } from "@shop/topology";
import { serviceKeyFiles } from "./service-keys.ts";
import type { Settings } from "./settings.ts";

const usersTimeoutMs = 10_000;

/** The URL of a service: the first one in its environment variable, or its port in the shop of `npm start`. */
export function serviceUrl(service: ServiceName, { env, host, ports }: Settings): string {
  return env[urlVariable(service)]?.split(",")[0] || `http://${host}:${ports[portVariable(service)]}`;
}

/** A client of the inventory service, as the starter. Throws a ConfigError when its key is not in `dataDir`. */
export function inventoryClient(options: {
  readonly inventoryUrl: string;
  readonly dataDir: string;
  readonly timeoutMs: number;
}): Client<typeof InventoryService> {
  return createClient(
    InventoryService,
    starterTransport({ ...options, service: "inventory", url: options.inventoryUrl }),
  );
}

/** A client of the users service, as the starter. Throws a ConfigError when its key is not in `dataDir`. */
export function usersClient(url: string, dataDir: string): Client<typeof UserService> {
  return createClient(UserService, starterTransport({ service: "users", url, dataDir, timeoutMs: usersTimeoutMs }));
}

/** Calls a service at its own port, with credentials that the starter's key signs. */
function starterTransport(options: {
  readonly service: string;
  readonly url: string;
  readonly dataDir: string;
  readonly timeoutMs: number;
}): Transport {
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
    request.header.set(internalCredentialHeader, credentials.issue("starter", options.service, "call"));
    return await next(request);
  };
  return createConnectTransport({
    baseUrl: options.url,
    defaultTimeoutMs: options.timeoutMs,
    httpVersion: "1.1",
    interceptors: [signed],
  });
}
