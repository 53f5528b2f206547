import { setting } from "@shop/platform";
import { z } from "zod";

/** The environment of the inventory service. */
export const inventoryConfig = z.object({
  INVENTORY_PORT: setting.port(5001),
  AUDIT_INTERVAL_SECONDS: setting.integer(3_600, 10, 604_800, "seconds from one audit to the next"),
  USERS_URL: setting.urls("http://127.0.0.1:50053"),
  STOCK_WATCHES_AT_ONCE: setting.integer(1_000, 0, 100_000, "stocks watched at the same time; 0 for no limit"),
  STOCK_WATCHES_PER_CALLER: setting.integer(
    100,
    0,
    100_000,
    "stocks that one caller watches at the same time; 0 for no limit",
  ),
  STOCK_WATCHES_PER_NETWORK: setting.integer(
    250,
    0,
    100_000,
    "stocks that one address watches at the same time, with all its accounts; 0 for no limit",
  ),
});
