import { beforeAll, expect, test } from "vitest";
import { repositoryRoot } from "../repository-root.ts";
import { contractWithRoute } from "./taken-routes.ts";

beforeAll(() => process.chdir(repositoryRoot));

test("a route is taken by its verb and its path, whatever its variables are called", () => {
  const inventory = "proto/shop/inventory/v1/inventory_service.proto";
  expect(contractWithRoute("GET", "/products/{id}")).toBe(inventory);
  expect(contractWithRoute("POST", "/products")).toBe(inventory);
  expect(contractWithRoute("POST", "/products/{id}")).toBeUndefined();
  expect(contractWithRoute("GET", "/products:count")).toBeUndefined();
});
