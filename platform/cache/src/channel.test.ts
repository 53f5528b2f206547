import { EventEmitter } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { openChannel } from "./channel.ts";
import type { Redis } from "./redis.ts";

/** A connection to Redis that is made, broken and subscribed when the test says so. */
function connectionByHand() {
  const subscribed = Promise.withResolvers<void>();
  let beat = () => {};
  const ears = Object.assign(new EventEmitter(), {
    isOpen: false,
    connect: async () => {},
    async subscribe([, beats]: readonly [string, string], hear: (message: string, channel: string) => void) {
      beat = () => hear(String(performance.now()), beats);
      await subscribed.promise;
    },
  });
  const redis = { duplicate: () => ears, isReady: false } as unknown as Redis;
  return { redis, ears, subscribed, beat: () => beat() };
}

test("what was loaded before the channel listened, at first or again, is not covered: changes may have been missed", async () => {
  const { redis, ears, subscribed, beat } = connectionByHand();
  const channel = openChannel(redis, "test", () => {});
  onTestFinished(() => channel.close());
  const beforeFirst = channel.session;
  subscribed.resolve();
  await new Promise(setImmediate);
  beat();
  expect([channel.covers(beforeFirst), channel.covers(channel.session)]).toEqual([false, true]);

  ears.emit("reconnecting");
  const whileConnecting = channel.session;
  // Subscribed again, as the client says.
  ears.emit("ready");
  beat();
  expect([channel.covers(whileConnecting), channel.covers(channel.session)]).toEqual([false, true]);
});
