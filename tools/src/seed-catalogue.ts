import { Code, ConnectError } from "@connectrpc/connect";
import { inventoryClient } from "./internal-clients.ts";
import { sampleCatalogue } from "./sample-catalogue.ts";

/** Products that are created concurrently. */
const atOnce = 8;

/**
 * Loads the sample catalogue into the inventory service, as the starter. Products are identified by SKU: existing
 * ones are unchanged, so it is safe to repeat.
 */
export async function seedCatalogue(options: {
  readonly inventoryUrl: string;
  /** Contains the key of the starter. */
  readonly dataDir: string;
  readonly log: (line: string) => void;
}): Promise<{ readonly created: number; readonly skipped: number }> {
  const inventory = inventoryClient({ ...options, timeoutMs: 10_000 });

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
