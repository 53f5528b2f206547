import { defaultPorts, metricsOffset, processNames } from "@shop/topology";
import { expect, test } from "vitest";
import { readNewService } from "./names.ts";

test("a new service gets spellings of its name in the singular and the plural, and free ports", () => {
  const service = readNewService("deliveries");
  expect(service).toMatchObject({ name: "deliveries", Name: "Deliveries", one: "delivery", One: "Delivery" });
  expect(Object.values(defaultPorts)).not.toContain(service.port);
  expect(processNames.map(metricsOffset)).not.toContain(service.metricsOffset);
  expect(readNewService("coupons")).toMatchObject({ one: "coupon", One: "Coupon" });
});

test.each(["orders", "gateway", "Orders", "gift-cards", "coupon", "../orders", ""])(
  "%j is refused as a name",
  (name) => {
    expect(() => readNewService(name)).toThrow(
      /is not one word of small letters in the plural|is already the name of another part/,
    );
  },
);
