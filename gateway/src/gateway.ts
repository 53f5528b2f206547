import { DeadLetterService } from "@shop/gen/shop/common/v1/dead_letter_service_pb";
import { TokenKeyService } from "@shop/gen/shop/common/v1/token_keys_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import { defineModule } from "@shop/runtime";
import { gatewayConfig } from "./config.ts";

/** The public port: which services are exposed, and where they are when they are not in this process. */
export const gateway = defineModule({
  name: "gateway",
  config: gatewayConfig,
  implements: [],
  exposes: [UserService, TokenKeyService, InventoryService, OrderService, DeadLetterService],
  isPublic: true,
  corsOrigins: (config) => config.CORS_ORIGINS,
  trustsProxy: (config) => config.TRUSTED_PROXIES,
  connectionLimits: (config) => ({ total: config.CONNECTIONS_AT_ONCE, perAddress: config.CONNECTIONS_PER_ADDRESS }),
  openApi: (config) => (config.API_DOCS ? new URL(import.meta.resolve("@shop/gen/openapi.json")) : undefined),
  port: (config) => config.GATEWAY_PORT,
  neighbours: (config) => [
    { name: "users", service: UserService, urls: config.USERS_URL },
    { name: "users", service: TokenKeyService, urls: config.USERS_URL },
    { name: "inventory", service: InventoryService, urls: config.INVENTORY_URL },
    { name: "orders", service: OrderService, urls: config.ORDERS_URL },
    { name: "orders", service: DeadLetterService, urls: config.ORDERS_URL },
  ],
});
