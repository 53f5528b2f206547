import { ConfigError, readConfig } from "@shop/core";
import { gatewayConfig } from "@shop/gateway/config";
import { platformConfig } from "@shop/runtime/config";
import { type ServiceName, serviceNames } from "@shop/topology";

type Schema = Parameters<typeof readConfig>[0][string];

const ofServices = Object.fromEntries(
  await Promise.all(serviceNames.map(async (name) => [name, await configOf(name)])),
) as Record<ServiceName, Schema>;

/** The variables of every process (`platform`), of the gateway, and of each service by its name. */
export const settingsSchemas = { platform: platformConfig, gateway: gatewayConfig, ...ofServices };

/** The export of a service's `config.ts`: `ordersConfig` of orders. */
async function configOf(name: ServiceName): Promise<Schema> {
  const exported = (await import(`@shop/${name}/config`)) as Readonly<Record<string, Schema>>;
  const schema = exported[`${name}Config`];
  if (schema === undefined) throw new Error(`services/${name}/src/config.ts does not export ${name}Config`);
  return schema;
}

/**
 * The settings of the shop's processes in this environment, or their errors, one line for each variable. Checked
 * before any server is started: otherwise a service would report them only in its log.
 */
export function readServiceSettings(env: NodeJS.ProcessEnv) {
  try {
    return { settings: readConfig(settingsSchemas, env), problems: [] };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.message.split("\n") };
    throw error;
  }
}
