import { expect, test } from "vitest";
import { methodWithRoute } from "./taken-routes.ts";

test("a route is taken by its verb and its path, whatever its variables are called", () => {
  const service = "shop.inventory.v1.InventoryService";
  expect(methodWithRoute("GET", "/products/{id}")).toBe(`${service}.GetProductByID`);
  expect(methodWithRoute("POST", "/products")).toBe(`${service}.CreateProduct`);
  expect(methodWithRoute("POST", "/products/{id}")).toBeUndefined();
  expect(methodWithRoute("GET", "/products:count")).toBeUndefined();
});
