import { newId } from "@shop/core";
import { breakableProxy, openLossyBus, openTestBus, silentLog } from "@shop/runtime/testing";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { type Bus, connectBus } from "./bus.ts";
import { openChangeNotices } from "./change-notices.ts";

const beatMs = 50;

/** Processes that host one service. */
function openService() {
  const name = newId("service");
  async function start(on?: Bus) {
    const bus = on ?? (await openTestBus());
    const notices = openChangeNotices(bus, name, beatMs);
    onTestFinished(notices.close);
    return { ...notices, bus };
  }
  /** Starts a process that listens, once it has heard all `senders` and itself. */
  async function listen(senders: number, on?: Bus) {
    const notices = await start(on);
    const heard: string[] = [];
    const missed = vi.fn();
    const stop = notices.listen({ changed: (ids) => heard.push(...ids), missed });
    onTestFinished(stop);
    await vi.waitFor(() => expect(missed.mock.calls.length).toBeGreaterThanOrEqual(senders + 1));
    missed.mockClear();
    return { ...notices, heard, missed, stop };
  }
  return { name, start, listen };
}

test("a notice reaches the listeners of all processes once, its sender's too", async () => {
  const { start, listen } = openService();
  const sender = await listen(0);
  const others = [await listen(1), await listen(2)];
  const silent = await start();
  await vi.waitFor(() => expect(others[1]!.missed).toHaveBeenCalled());
  for (const { missed } of others) missed.mockClear();
  sender.announce(["a", "b"]);
  silent.announce(["c"]);
  for (const { heard } of [sender, ...others])
    await vi.waitFor(() => expect(heard.toSorted()).toEqual(["a", "b", "c"]));
  for (const { missed } of others) expect(missed).not.toHaveBeenCalled();
});

test("notices of one turn of the event loop are sent as one message, and many in parts", async () => {
  const { start, name } = openService();
  const { announce, bus } = await start();
  const sizes: number[] = [];
  bus.connection.subscribe(`changes.${name}`, {
    callback: (_error, message) => void sizes.push(message.json<{ ids?: string[] }>().ids?.length ?? 0),
  });
  await bus.connection.flush();
  announce(["a"]);
  announce(["a", "b"]);
  await vi.waitFor(() => expect(sizes.filter((size) => size > 0)).toEqual([2]));
  announce(Array.from({ length: 2_100 }, (_, n) => `${n}`));
  await vi.waitFor(() => expect(sizes.filter((size) => size > 0)).toEqual([2, 1_000, 1_000, 100]));
});

test("a process that does not listen receives nothing", async () => {
  const { start, listen } = openService();
  const [idle, listener] = [await start(), await listen(1)];
  await idle.bus.connection.flush();
  const before = idle.bus.connection.stats().inMsgs;
  for (let n = 0; n < 100; n++) {
    listener.announce([`${n}`]);
    await new Promise(setImmediate);
  }
  await idle.bus.connection.flush();
  expect(idle.bus.connection.stats().inMsgs).toBe(before);
});

test("a lost notice is detected by the next one, and the last one by a heartbeat", async () => {
  const { start, listen } = openService();
  let lost = 0;
  const sender = await start(await openLossyBus(() => lost-- > 0));
  const { heard, missed } = await listen(1);
  lost = 1;
  sender.announce(["lost"]);
  await vi.waitFor(() => expect(missed).toHaveBeenCalledTimes(1));
  sender.announce(["a"]);
  await vi.waitFor(() => expect(heard).toEqual(["a"]));
  expect(missed).toHaveBeenCalledTimes(1);
});

test("a sender that dies after a lost notice, or before its notice, is detected by its silence", async () => {
  const { start, listen } = openService();
  let isMute = false;
  const sender = await start(await openLossyBus(() => isMute));
  const { missed } = await listen(1);
  isMute = true;
  await vi.waitFor(() => expect(missed).toHaveBeenCalledTimes(1));
  // Back after a pause, such as SIGSTOP: notices from before it may be missing.
  isMute = false;
  await vi.waitFor(() => expect(missed).toHaveBeenCalledTimes(2));
  expect(sender.isLive()).toBe(false);
});

test.each(["cut", "freeze"] as const)(
  "while its connection is broken (%s) a listener is not live, and afterwards it knows that it missed notices",
  async (fault) => {
    const proxy = await breakableProxy(inject("natsUrl"));
    const { start, listen } = openService();
    const sender = await start();
    const options = { url: proxy.url, name: "test", replicas: 1 };
    const bus = await connectBus(options, silentLog, new AbortController().signal);
    onTestFinished(() => bus.close());
    const listener = await listen(1, bus);
    expect(listener.isLive()).toBe(true);
    proxy[fault]();
    sender.announce(["lost"]);
    await vi.waitFor(() => expect(listener.isLive()).toBe(false));
    listener.missed.mockClear();
    proxy.restore();
    await vi.waitFor(() => expect(listener.isLive()).toBe(true), { timeout: 10_000 });
    expect(listener.missed).toHaveBeenCalled();
    sender.announce(["a"]);
    await vi.waitFor(() => expect(listener.heard).toContain("a"));
  },
);
