import { setting } from "@shop/platform";
import { z } from "zod";

/** The environment of the gateway. */
export const gatewayConfig = z.object({
  GATEWAY_PORT: setting.port(8080),
  CORS_ORIGINS: setting.origins(),
  TRUSTED_PROXIES: setting.trustedProxies(),
  CONNECTIONS_AT_ONCE: setting.integer(10_000, 0, 1_000_000, "connections at the same time; 0 for no limit"),
  CONNECTIONS_PER_ADDRESS: setting.integer(
    1_000,
    0,
    1_000_000,
    "connections at the same time from one address; 0 for no limit",
  ),
  API_DOCS: setting.flag(true),
  USERS_URL: setting.urls("http://127.0.0.1:50053"),
  INVENTORY_URL: setting.urls("http://127.0.0.1:5001"),
  ORDERS_URL: setting.urls("http://127.0.0.1:5002"),
});
