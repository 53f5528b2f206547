import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { reasonOf } from "./errors.ts";
import { createShop } from "./shop.ts";
import { errorOf, refusal, transportTo, unavailable } from "./testing.ts";

const { PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED } = OrderStatus;
const history = [PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED];

/** A shop that breaks its connections by `breaks`, one entry each: the number of transitions sent before, and the error. */
function order(breaks: readonly (readonly [number, () => unknown])[], transitions = history) {
  const asked: number[] = [];
  const { watchOrder } = createShop({
    transport: transportTo({
      orders: {
        async *watchOrder({ afterVersion }) {
          const [count, error] = breaks[asked.push(afterVersion) - 1] ?? [Number.POSITIVE_INFINITY, unavailable];
          let sent = 0;
          yield {};
          for (let version = afterVersion + 1; version <= transitions.length; version++) {
            if (sent++ === count) throw error();
            const status = transitions[version - 1]!;
            yield { order: { version, status }, event: { version, status } };
          }
          if (count < Number.POSITIVE_INFINITY) throw error();
        },
      },
    }),
  });
  return { watchOrder, asked };
}

const versions = async (transitions: AsyncIterable<{ order: { version: number } }>) =>
  (await Array.fromAsync(transitions)).map((transition) => transition.order.version);

test("a watch resumes after the last transition received, without gap or repetition, and ends at a final status", async () => {
  const lost = (code: Code) => () => new ConnectError("the connection is gone", code);
  const { watchOrder, asked } = order([
    [2, unavailable],
    [0, lost(Code.Unavailable)],
    [0, lost(Code.Canceled)],
    [1, () => refusal(Code.ResourceExhausted, "TOO_MANY_WATCHES", 5)],
  ]);
  expect(await versions(watchOrder("order_a"))).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual([0, 2, 2, 2, 3]);
});

test("a watch begins after the given version, and ends at once if that was the last one", async () => {
  const { watchOrder, asked } = order([]);
  expect(await versions(watchOrder("order_a", { after: 3 }))).toEqual([4, 5]);
  expect(await versions(watchOrder("order_a", { after: 5 }))).toEqual([]);
  expect(asked).toEqual([3, 5]);
});

test("a watch ends at a final status even if its connection breaks right after it", async () => {
  const { watchOrder, asked } = order([[5, unavailable]]);
  expect(await versions(watchOrder("order_a"))).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual([0]);
});

test("a watch throws errors that a new connection would not solve", async () => {
  const { watchOrder, asked } = order([[1, () => refusal(Code.NotFound, "ORDER_NOT_FOUND")]]);
  expect(reasonOf(await errorOf(versions(watchOrder("order_a"))))).toBe("ORDER_NOT_FOUND");
  expect(asked).toEqual([0]);
});

test("an aborted watch throws CANCELED, while it waits for a transition and between two connections", async () => {
  for (const transitions of [[PENDING], []]) {
    const { watchOrder, asked } = order(
      transitions.length > 0
        ? []
        : Array.from({ length: 20 }, () => [0, () => refusal(Code.Unavailable, "", 900)] as const),
      [PENDING, CONFIRMED],
    );
    const leaving = new AbortController();
    const seen: number[] = [];
    const watched = (async () => {
      for await (const transition of watchOrder("order_a", { signal: leaving.signal })) {
        seen.push(transition.order.version);
        leaving.abort();
      }
    })();
    const ended = errorOf(watched);
    if (transitions.length === 0) {
      // Between two connections: the first has ended, and the next is due in 900 ms.
      await vi.waitUntil(() => asked.length === 1, { interval: 1 });
      leaving.abort();
    }
    expect((await ended).code).toBe(Code.Canceled);
    expect([seen, asked]).toEqual([transitions.length === 0 ? [] : [1], [0]]);
  }
});

describe("when the shop is unreachable", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });

  test("a watch that misses two heartbeats reconnects", async () => {
    const asked: number[] = [];
    const { watchOrder } = createShop({
      transport: transportTo({
        orders: {
          async *watchOrder({ afterVersion }, { signal }) {
            const version = afterVersion + 1;
            yield { order: { version, status: history[afterVersion]! }, event: { version } };
            if (asked.push(afterVersion) < 5) await new Promise((resolve) => signal.addEventListener("abort", resolve));
          },
        },
      }),
    });
    const watched = versions(watchOrder("order_a"));
    await vi.advanceTimersByTimeAsync(70_000);
    expect(asked).toEqual([0]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toEqual([0, 1]);
    await vi.advanceTimersByTimeAsync(240_000);
    expect(await watched).toEqual([1, 2, 3, 4, 5]);
  });

  test("a watch gives up after five minutes with the last error", async () => {
    let asked = 0;
    const { watchOrder } = createShop({
      transport: transportTo({
        orders: {
          watchOrder: () => {
            asked++;
            throw unavailable();
          },
        },
      }),
    });
    const error = errorOf(versions(watchOrder("order_a")));
    await vi.advanceTimersByTimeAsync(299_000);
    expect(asked).toBeGreaterThan(30);
    expect(asked).toBeLessThan(100);
    await vi.advanceTimersByTimeAsync(12_000);
    expect(reasonOf(await error)).toBe("DEPENDENCY_UNAVAILABLE");
  });
});

test("a watch reconnects with the next access token when its own expires", async () => {
  const received: string[] = [];
  let issued = 0;
  const grant = () => ({ userId: "user_a", sessionId: "session_a", accessToken: `${++issued}`, expiresInSeconds: 600 });
  const shop = createShop({
    transport: transportTo({
      users: { authenticate: grant, refreshToken: grant },
      orders: {
        async *watchOrder({ afterVersion }, { requestHeader }) {
          received.push(`${requestHeader.get("authorization")} after ${afterVersion}`);
          const version = afterVersion + 1;
          const status = version === 3 ? RETURNED : PENDING;
          yield { order: { version, status }, event: { version, status } };
          throw refusal(Code.Unauthenticated, "ACCESS_TOKEN_INVALID");
        },
      },
    }),
  });
  await shop.session.signIn({ username: "a", password: "b" });
  expect(await versions(shop.watchOrder("order_a"))).toEqual([1, 2, 3]);
  expect(received).toEqual(["Bearer 1 after 0", "Bearer 2 after 1", "Bearer 3 after 2"]);
});

test("a watch of stock resumes after the last sequence received", async () => {
  const asked: number[] = [];
  const { watchStock } = createShop({
    transport: transportTo({
      inventory: {
        async *watchStock({ afterSequence }) {
          asked.push(afterSequence);
          yield { stock: { sequence: afterSequence === 0 ? 7 : afterSequence + 1 } };
          throw unavailable();
        },
      },
    }),
  });
  const seen: number[] = [];
  for await (const { sequence } of watchStock("product_a")) {
    seen.push(sequence);
    if (seen.length === 3) break;
  }
  expect(seen).toEqual([7, 8, 9]);
  expect(asked).toEqual([0, 7, 8]);
});
