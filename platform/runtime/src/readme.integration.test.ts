import { readmeExample } from "@shop/http-port/testing/readme-example";
import { expect, test } from "vitest";
import type { ServiceModule } from "./service-module.ts";
import { startTestModule } from "./testing/start-test-module.ts";

test("the README's example is a module that starts and drains", async () => {
  const { things } = await readmeExample<{ things: ServiceModule }>("@shop/runtime", import.meta.dirname);
  expect(things.name).toBe("things");
  await startTestModule(things);
});
