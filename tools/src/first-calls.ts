import { describeAdmin } from "./admin.ts";
import { counted } from "./counted.ts";
import type { Settings } from "./settings.ts";

/** Calls a shop that is ready: loads the sample catalogue if there are no products. Returns the line about the first administrator. */
export async function firstCalls(shop: {
  readonly gatewayUrl: string;
  readonly settings: Settings;
  readonly adminPassword: string;
}): Promise<string> {
  const { gatewayUrl, settings, adminPassword } = shop;
  await seedIfEmpty(gatewayUrl, settings);
  const generated = settings.adminPassword === undefined;
  return await describeAdmin(gatewayUrl, settings.adminUsername, adminPassword, { generated }).catch(
    (error: Error) => `unknown (${error.message})`,
  );
}

async function seedIfEmpty(gatewayUrl: string, { ports, host, dataDir }: Settings): Promise<void> {
  try {
    const response = await fetch(`${gatewayUrl}/products?page_size=1`);
    const { products } = (await response.json()) as { products?: unknown[] };
    if (!response.ok || (products?.length ?? 0) > 0) return;
    console.log("loading the sample catalogue");
    const { seedCatalogue } = await import("./seed-catalogue.ts");
    const { created } = await seedCatalogue({
      inventoryUrl: `http://${host}:${ports.INVENTORY_PORT}`,
      dataDir,
      log: console.log,
    });
    console.log(`loaded ${counted(created, "product")}`);
  } catch (error) {
    console.log(`the sample catalogue could not be loaded (${(error as Error).message}); npm run seed tries again`);
  }
}
