import { setting } from "@shop/core";
import { portSetting, urlSettings } from "@shop/topology/settings";
import { z } from "zod";

/** The settings of the orders service. */
export const ordersConfig = z.object({
  ...portSetting("orders"),
  ...urlSettings("users", "inventory"),
  ORDER_DECISION_SECONDS: setting.integer(120, 1, 86_400, "seconds").meta({
    meaning: "An order for which inventory has not decided by then is cancelled.",
  }),
  ORDER_BACKLOG: setting.integer(256, 1, 100_000, "orders").meta({
    meaning:
      "Orders that may wait longer than a second for their stock. While there are more, new ones are refused with ORDERS_OVERLOADED.",
  }),
  ORDER_LINES_PER_ACCOUNT: setting.integer(100, 0, 1_000_000, "order lines").meta({
    meaning:
      "Lines of one account's orders that may wait for their stock, in a process. One more is refused with ORDER_SHARE_EXCEEDED; " +
      "0 means no limit.",
  }),
  ORDER_LINES_PER_NETWORK: setting.integer(400, 0, 1_000_000, "order lines").meta({
    meaning:
      "The same for all orders from one address (a /64 of IPv6). A /24 or /48 gets twice as many; 0 means no limit.",
  }),
  MAX_OPEN_UNITS_PER_ACCOUNT: setting.integer(10_000, 0, 1_000_000_000, "units").meta({
    meaning:
      "Units in one account's orders that are neither final nor shipped, in all processes together. One more is refused with " +
      "OPEN_UNITS_EXCEEDED; 0 means no limit.",
  }),
  MAX_OPEN_UNITS_PER_PRODUCT: setting.integer(1_000, 0, 1_000_000_000, "units").meta({
    meaning: "The same for the units of one product; 0 means no limit.",
  }),
  ORDER_WATCHES_AT_ONCE: setting.integer(1_000, 0, 100_000, "watches").meta({
    meaning:
      "Watches of orders in a process. One more is refused with TOO_MANY_WATCHES, and once three quarters are in use the largest holders get no more; " +
      "0 means no limit.",
  }),
  ORDER_WATCHES_PER_CALLER: setting.integer(100, 0, 100_000, "watches").meta({
    meaning: "Watches of orders of one account, in a process; 0 means no limit.",
  }),
  ORDER_WATCHES_PER_NETWORK: setting.integer(250, 0, 100_000, "watches").meta({
    meaning:
      "Watches of orders from one address (a /64 of IPv6) with all its accounts, in a process. A /24 or /48 gets twice as many; 0 means no limit.",
  }),
  AUDIT_INTERVAL_SECONDS: setting.integer(3_600, 10, 604_800, "seconds").meta({
    meaning: "Time from one audit of a service's invariants to the next, for all of its processes together.",
  }),
});
