import { setting } from "@shop/core";
import { portSetting, urlSettings } from "@shop/topology/settings";
import { z } from "zod";

/** The settings of the inventory service. */
export const inventoryConfig = z.object({
  ...portSetting("inventory"),
  AUDIT_INTERVAL_SECONDS: setting.integer(3_600, 10, 604_800, "seconds").meta({
    meaning: "Time from one audit of a service's invariants to the next, for all of its processes together.",
  }),
  ...urlSettings("users"),
  STOCK_WATCHES_AT_ONCE: setting.integer(1_000, 0, 100_000, "watches").meta({
    meaning:
      "Watches of stock in a process. One more is refused with TOO_MANY_WATCHES, and once three quarters are in use the largest holders get no more; " +
      "0 means no limit.",
  }),
  STOCK_WATCHES_PER_CALLER: setting.integer(100, 0, 100_000, "watches").meta({
    meaning: "Watches of stock of one account, or of one network without an account, in a process; 0 means no limit.",
  }),
  STOCK_WATCHES_PER_NETWORK: setting.integer(250, 0, 100_000, "watches").meta({
    meaning:
      "Watches of stock from one address (a /64 of IPv6) with all its accounts, in a process. A /24 or /48 gets twice as many; 0 means no limit.",
  }),
});
