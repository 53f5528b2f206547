import { ConfigError, readConfig } from "@shop/core";
import { gatewayConfig } from "@shop/gateway/config";
import { inventoryConfig } from "@shop/inventory/config";
import { ordersConfig } from "@shop/orders/config";
import { platformConfig } from "@shop/runtime";
import { usersConfig } from "@shop/users/config";

/** The variables of every process (`platform`) and of each service. */
export const settingsSchemas = {
  platform: platformConfig,
  gateway: gatewayConfig,
  users: usersConfig,
  inventory: inventoryConfig,
  orders: ordersConfig,
};

/**
 * What the processes of the shop will read from this environment, or what they would refuse, one line for each variable. Asked
 * before anything is started: a service would say it in its log, three servers later.
 */
export function readServiceSettings(env: NodeJS.ProcessEnv) {
  try {
    return { settings: readConfig(settingsSchemas, env), problems: [] };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.message.split("\n") };
    throw error;
  }
}
