import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Noise, noisyBus, usualNoise } from "./noisy-bus.ts";
import { seededRandom } from "./random.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const silence: Noise = { doubled: 0, delayed: 0, swapped: 0, mostDelayMs: 1_000 };
const published = (what: string) => {
  const header = `NATS/1.0\r\nNats-Msg-Id: ${what}\r\n\r\n`;
  const length = header.length + what.length;
  return `HPUB shop.orders.v1.OrderPlaced _INBOX.1 ${header.length} ${length}\r\n${header}${what}\r\n`;
};
const delivered = (what: string) =>
  `MSG shop.orders.v1.OrderPlaced 7 $JS.ACK.orders.inventory.1.2.3.4.5 ${what.length}\r\n${what}\r\n`;

/** The output for `sent`, split into pieces of `size` bytes: immediately, and after all delays. */
function pass(sent: string, noise: Partial<Noise>, { size = sent.length, seed = 1 } = {}) {
  const arrived: string[] = [];
  const take = noisyBus(seededRandom(seed), { ...silence, ...noise })((bytes) => void arrived.push(String(bytes)));
  for (let at = 0; at < sent.length; at += size) take(Buffer.from(sent.slice(at, at + size)));
  const atOnce = [...arrived];
  vi.runAllTimers();
  return { atOnce, arrived };
}

const talk = ["CONNECT {}\r\n", "PING\r\n", "PUB $JS.ACK.x 4\r\n+ACK\r\n", published("PUB a\r\nb"), delivered("one")];

test.each([1, 2, 7, 1_000])("without noise every message is forwarded unchanged, in pieces of %i bytes too", (size) => {
  expect(pass(talk.join(""), {}, { size }).atOnce).toEqual(talk);
});

test("messages other than events are never changed", () => {
  const plain = talk.slice(0, 3);
  expect(pass(plain.join(""), { doubled: 1, delayed: 1 }).atOnce).toEqual(plain);
});

test("a duplicated event arrives again later, without the id by which JetStream detects duplicates", () => {
  const { atOnce, arrived } = pass(published("one"), { doubled: 1 });
  expect(atOnce).toEqual([published("one")]);
  expect(arrived).toEqual([published("one"), published("one").replace("Nats-Msg-Id", "Test-Msg-Id")]);
});

test("a delayed event is late and complete", () => {
  const { atOnce, arrived } = pass(delivered("one"), { delayed: 1 });
  expect(atOnce).toEqual([]);
  expect(arrived).toEqual([delivered("one")]);
});

test("a swapped event arrives after the next one, or alone if there is none", () => {
  const events = ["1", "2", "3"].map(delivered);
  const { atOnce, arrived } = pass(events.join(""), { swapped: 1 });
  expect(atOnce).toEqual([events[1], events[0]]);
  expect(arrived).toEqual([events[1], events[0], events[2]]);
});

test("the same seed gives the same noise, and loses no event", () => {
  const events = Array.from({ length: 300 }, (_, index) => published(`${index}`));
  const received = (seed: number) => pass(events.join(""), usualNoise, { seed }).arrived;
  expect(received(1)).toEqual(received(1));
  expect(received(2)).not.toEqual(received(1));
  expect(new Set(received(1).map((event) => event.replace("Test", "Nats")))).toEqual(new Set(events));
  expect(received(1).length).toBeGreaterThan(events.length);
});
