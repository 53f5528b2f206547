import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { createInternalCredentials, internalCredentialHeader } from "@shop/platform";
import { sampleCatalogue } from "./sample-catalogue.ts";

/** Products that are created at the same time. */
const atOnce = 8;

/**
 * Loads the sample catalogue into the inventory service, as a part of the platform. Products are told by their SKU: those
 * that are there already are left alone, so it can be repeated.
 */
export async function seedCatalogue(options: {
  readonly inventoryUrl: string;
  readonly internalSecret: string;
  readonly log: (line: string) => void;
}): Promise<{ readonly created: number; readonly skipped: number }> {
  const credentials = createInternalCredentials("seed", options.internalSecret);
  const signed: Interceptor = (next) => async (request) => {
    request.header.set(internalCredentialHeader, await credentials.issue());
    return await next(request);
  };
  const transport = createConnectTransport({
    baseUrl: options.inventoryUrl,
    defaultTimeoutMs: 10_000,
    httpVersion: "1.1",
    interceptors: [signed],
  });
  const inventory = createClient(InventoryService, transport);

  const waiting = [...sampleCatalogue()];
  const total = waiting.length;
  let created = 0;
  let skipped = 0;
  async function createNext(): Promise<void> {
    for (let product = waiting.shift(); product !== undefined; product = waiting.shift()) {
      try {
        await inventory.createProduct({ product });
        created++;
      } catch (error) {
        if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
        skipped++;
      }
      if ((created + skipped) % 50 === 0) options.log(`${created + skipped} of ${total} products`);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, createNext));
  return { created, skipped };
}
