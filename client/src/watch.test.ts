import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { reasonOf } from "./errors.ts";
import { createShop } from "./shop.ts";
import { errorOf, refusal, transportTo, unavailable } from "./testing.ts";

const { PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED } = OrderStatus;
const history = [PENDING, CONFIRMED, SHIPPED, DELIVERED, RETURNED];

/** Answers a watch as the shop does, but breaks every connection as `breaks` says: after how many answers, and how. */
function order(breaks: readonly (readonly [number, () => unknown])[], moves = history) {
  const asked: number[] = [];
  const { watchOrder } = createShop({
    transport: transportTo({
      orders: {
        async *watchOrder({ afterVersion }) {
          const [count, error] = breaks[asked.push(afterVersion) - 1] ?? [Number.POSITIVE_INFINITY, unavailable];
          let sent = 0;
          yield {};
          for (let version = afterVersion + 1; version <= moves.length; version++) {
            if (sent++ === count) throw error();
            const status = moves[version - 1]!;
            yield { order: { version, status }, event: { version, status } };
          }
          if (count < Number.POSITIVE_INFINITY) throw error();
        },
      },
    }),
  });
  return { watchOrder, asked };
}

const versions = async (moves: AsyncIterable<{ order: { version: number } }>) =>
  (await Array.fromAsync(moves)).map((move) => move.order.version);

test("a watch that breaks goes on after the last move that came, without gap or repetition, and ends by itself", async () => {
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

test("a watch begins where its caller says, and ends at once when nothing can follow", async () => {
  const { watchOrder, asked } = order([]);
  expect(await versions(watchOrder("order_a", { after: 3 }))).toEqual([4, 5]);
  expect(await versions(watchOrder("order_a", { after: 5 }))).toEqual([]);
  expect(asked).toEqual([3, 5]);
});

test("a watch ends at a final move, though its connection breaks before it says so", async () => {
  const { watchOrder, asked } = order([[5, unavailable]]);
  expect(await versions(watchOrder("order_a"))).toEqual([1, 2, 3, 4, 5]);
  expect(asked).toEqual([0]);
});

test("a watch throws what another connection would not help against", async () => {
  const { watchOrder, asked } = order([[1, () => refusal(Code.NotFound, "ORDER_NOT_FOUND")]]);
  expect(reasonOf(await errorOf(versions(watchOrder("order_a"))))).toBe("ORDER_NOT_FOUND");
  expect(asked).toEqual([0]);
});

test("a watch whose caller leaves throws CANCELED, while it waits for a move and between two connections", async () => {
  for (const moves of [[PENDING], []]) {
    const { watchOrder, asked } = order(
      moves.length > 0 ? [] : Array.from({ length: 20 }, () => [0, () => refusal(Code.Unavailable, "", 900)] as const),
      [PENDING, CONFIRMED],
    );
    const leaving = new AbortController();
    const seen: number[] = [];
    const watched = (async () => {
      for await (const move of watchOrder("order_a", { signal: leaving.signal })) {
        seen.push(move.order.version);
        leaving.abort();
      }
    })();
    const ended = errorOf(watched);
    if (moves.length === 0) {
      // Between two connections: the first is over, and the next is due in 900 ms.
      await vi.waitUntil(() => asked.length === 1, { interval: 1 });
      leaving.abort();
    }
    expect((await ended).code).toBe(Code.Canceled);
    expect([seen, asked]).toEqual([moves.length === 0 ? [] : [1], [0]]);
  }
});

describe("with a shop that is not there any more", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });

  test("a watch that misses two signs of life connects again", async () => {
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

  test("a watch gives up after five minutes, and says why", async () => {
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

test("a watch goes on with the next access token when its own expires", async () => {
  const told: string[] = [];
  let issued = 0;
  const grant = () => ({ userId: "user_a", sessionId: "session_a", accessToken: `${++issued}`, expiresInSeconds: 600 });
  const shop = createShop({
    transport: transportTo({
      users: { authenticate: grant, refreshToken: grant },
      orders: {
        async *watchOrder({ afterVersion }, { requestHeader }) {
          told.push(`${requestHeader.get("authorization")} after ${afterVersion}`);
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
  expect(told).toEqual(["Bearer 1 after 0", "Bearer 2 after 1", "Bearer 3 after 2"]);
});

test("the stock's watch goes on after the last sequence that came", async () => {
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
