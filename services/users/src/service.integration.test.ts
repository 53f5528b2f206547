import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { users } from "./service.ts";

// An unhandled rejection would fail the test run.
test("a start without its database rejects once and leaves no unhandled rejection", async () => {
  const db = await openTestDb();
  await db.client.close();
  const context = {
    config: users.config.parse({}),
    db,
    bus: await openTestBus(),
    clock: () => new Date(),
    log: silentLog,
  };
  await expect(users.start!(context as never)).rejects.toThrow();
});
