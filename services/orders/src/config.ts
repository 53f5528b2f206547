import { setting } from "@shop/platform";
import { z } from "zod";

/** The environment of the orders service. */
export const ordersConfig = z.object({
  ORDERS_PORT: setting.port(5002),
  USERS_URL: setting.urls("http://127.0.0.1:50053"),
  ORDER_DECISION_SECONDS: setting.integer(
    120,
    1,
    86_400,
    "seconds until an order that the stock did not decide is cancelled",
  ),
  AUDIT_INTERVAL_SECONDS: setting.integer(3_600, 10, 604_800, "seconds from one audit to the next"),
  INVENTORY_URL: setting.urls("http://127.0.0.1:5001"),
});
