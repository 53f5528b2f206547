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
  ORDER_BACKLOG: setting.integer(
    256,
    1,
    100_000,
    "orders that may wait longer than a second for their stock; beyond it new ones are refused",
  ),
  ORDER_LINES_PER_ACCOUNT: setting.integer(
    100,
    0,
    1_000_000,
    "lines of one account's orders that may wait for their stock in a process; 0 for no limit",
  ),
  ORDER_LINES_PER_NETWORK: setting.integer(
    400,
    0,
    1_000_000,
    "lines of the orders from one address that may wait for their stock in a process; 0 for no limit",
  ),
  MAX_OPEN_UNITS_PER_ACCOUNT: setting.integer(
    10_000,
    0,
    1_000_000_000,
    "units in one account's orders that are neither final nor shipped; 0 for no limit",
  ),
  MAX_OPEN_UNITS_PER_PRODUCT: setting.integer(
    1_000,
    0,
    1_000_000_000,
    "units of one product in one account's orders that are neither final nor shipped; 0 for no limit",
  ),
  ORDER_WATCHES_AT_ONCE: setting.integer(1_000, 0, 100_000, "orders watched at the same time; 0 for no limit"),
  ORDER_WATCHES_PER_CALLER: setting.integer(
    100,
    0,
    100_000,
    "orders that one caller watches at the same time; 0 for no limit",
  ),
  ORDER_WATCHES_PER_NETWORK: setting.integer(
    250,
    0,
    100_000,
    "orders that one address watches at the same time, with all its accounts; 0 for no limit",
  ),
  AUDIT_INTERVAL_SECONDS: setting.integer(3_600, 10, 604_800, "seconds from one audit to the next"),
  INVENTORY_URL: setting.urls("http://127.0.0.1:5001"),
});
