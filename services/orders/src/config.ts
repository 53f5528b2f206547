import { setting } from "@shop/platform";
import { z } from "zod";

/** The environment of the orders service. */
export const ordersConfig = z.object({
  ORDERS_PORT: setting.port(5002),
  USERS_URL: setting.urls("http://127.0.0.1:50053"),
  INVENTORY_URL: setting.urls("http://127.0.0.1:5001"),
});
