import { openTestBus, openTestDb, silentLog } from "@shop/runtime/testing";
import { expect, test } from "vitest";
import { users } from "./service.ts";

// A rejection that nobody handles ends a process, and fails a run of tests.
test("a start without its database fails once, to be tried again", async () => {
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
