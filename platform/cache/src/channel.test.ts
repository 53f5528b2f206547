import { EventEmitter } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { openChannel } from "./channel.ts";
import type { Redis } from "./redis.ts";

/** A connection to Redis that connects, breaks and subscribes when the test says so. */
function connectionByHand() {
  const subscribed = Promise.withResolvers<void>();
  let beat = () => {};
  const subscriber = Object.assign(new EventEmitter(), {
    isOpen: false,
    connect: async () => {},
    async subscribe([, beats]: readonly [string, string], onMessage: (message: string, channel: string) => void) {
      beat = () => onMessage(String(performance.now()), beats);
      await subscribed.promise;
    },
  });
  const redis = { duplicate: () => subscriber, isReady: false } as unknown as Redis;
  return { redis, subscriber, subscribed, beat: () => beat() };
}

test("loads before the channel was subscribed or resubscribed are not covered, since changes may have been missed", async () => {
  const { redis, subscriber, subscribed, beat } = connectionByHand();
  const channel = openChannel(redis, "test", () => {});
  onTestFinished(() => channel.close());
  const beforeFirst = channel.session;
  subscribed.resolve();
  await new Promise(setImmediate);
  beat();
  expect([channel.covers(beforeFirst), channel.covers(channel.session)]).toEqual([false, true]);

  subscriber.emit("reconnecting");
  const whileConnecting = channel.session;
  // The client has resubscribed.
  subscriber.emit("ready");
  beat();
  expect([channel.covers(whileConnecting), channel.covers(channel.session)]).toEqual([false, true]);
});
