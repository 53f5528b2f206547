import { create, toBinary } from "@bufbuild/protobuf";
import { newId } from "@shop/core";
import { AccessRevokedSchema } from "@shop/gen/shop/common/v1/access_revoked_pb";
import { revocationStream } from "@shop/runtime";
import { openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Bus } from "./bus.ts";
import { startFollower } from "./follower.ts";

const stream = revocationStream;
const revoked = (userId: string) => ({
  id: newId("event"),
  type: AccessRevokedSchema.typeName,
  payload: toBinary(AccessRevokedSchema, create(AccessRevokedSchema, { userId })),
});

/** The stream of a real event, which other tests publish, too: theirs are ignored. */
async function openFollowed() {
  const bus = await openTestBus();
  const prefix = newId("user");
  const follow = async (on: Bus = bus) => {
    const seen: string[] = [];
    const { stop } = await startFollower(on, stream, AccessRevokedSchema, silentLog, ({ userId }) => {
      if (userId.startsWith(prefix)) seen.push(userId.slice(prefix.length));
    });
    onTestFinished(stop);
    return { seen, stop };
  };
  return { bus, follow, publish: (n: number) => bus.publish(revoked(`${prefix}${n}`)) };
}

test("every process reads all existing and all new events", async () => {
  const { follow, publish } = await openFollowed();
  await Promise.all([publish(1), publish(2), publish(3)]);
  const followers = [await follow(), await follow()];
  for (const { seen } of followers) expect(seen.toSorted()).toEqual(["1", "2", "3"]);
  await publish(4);
  for (const { seen } of followers) await vi.waitFor(() => expect(seen).toContain("4"));
});

test("events missed while the connection was broken are read once it is back", async () => {
  const { bus, follow, publish } = await openFollowed();
  await publish(1);
  let back = () => {};
  const { seen } = await follow({
    ...bus,
    onReconnect(callBack) {
      back = callBack;
      return () => {};
    },
  });
  seen.length = 0;
  back();
  await vi.waitFor(() => expect(seen).toEqual(["1"]));
});

test("a consumer that disappears is recreated", async () => {
  const { bus, follow, publish } = await openFollowed();
  const { seen } = await follow();
  for await (const { name } of bus.manager.consumers.list(stream)) await bus.manager.consumers.delete(stream, name);
  await publish(1);
  await vi.waitFor(() => expect(seen).toEqual(["1"]), { timeout: 10_000 });
});

test("a stopped follower leaves no consumer behind", async () => {
  const { bus, follow } = await openFollowed();
  const count = async () => (await bus.manager.consumers.list(stream).next()).length;
  const before = await count();
  const { stop } = await follow();
  expect(await count()).toBe(before + 1);
  await stop();
  expect(await count()).toBe(before);
});
