// Generated from services/topology by `npm run generate`.
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";

/** The shop's proto services, by the names of their clients. */
export const services = {
  users: UserService,
  inventory: InventoryService,
  orders: OrderService,
} as const;
