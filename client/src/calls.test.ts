import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { afterEach, describe, expect, test, vi } from "vitest";
import { reasonOf } from "./errors.ts";
import { createShop, type ShopOptions } from "./shop.ts";
import { type Answers, errorOf, refusal, transportTo, unavailable } from "./testing.ts";

const shopOf = (answers: Answers, rules: Partial<ShopOptions> = {}) =>
  createShop({ transport: transportTo(answers), ...rules });

/** A handler that throws `times` times before it answers. */
function failing<Answer>(times: number, error: () => unknown, answer: Answer) {
  const calls: number[] = [];
  return {
    times: () => calls.length,
    answer: () => {
      calls.push(performance.now());
      if (calls.length <= times) throw error();
      return answer;
    },
    /** The pauses between the calls, in milliseconds. */
    pauses: () => calls.slice(1).map((at, index) => at - calls[index]!),
  };
}

describe("a call is retried", () => {
  test("when it is a read and the server is unavailable", async () => {
    const listProducts = failing(2, unavailable, { products: [{ name: "Teapot" }] });
    const { products } = await shopOf({ inventory: { listProducts: listProducts.answer } }).inventory.listProducts({});
    expect(products.map(({ name }) => name)).toEqual(["Teapot"]);
    expect(listProducts.times()).toBe(3);
  });

  test("not before the server's retry delay", async () => {
    const overloaded = () => refusal(Code.ResourceExhausted, "ORDERS_OVERLOADED", 120);
    const listProducts = failing(1, overloaded, {});
    await shopOf({ inventory: { listProducts: listProducts.answer } }).inventory.listProducts({});
    expect(listProducts.pauses()[0]).toBeGreaterThanOrEqual(119);
  });

  test("when its response was lost", async () => {
    const transport = transportTo({ inventory: { listProducts: () => ({ products: [{ name: "Teapot" }] }) } });
    let calls = 0;
    const lossy: Transport = {
      ...transport,
      async unary(...call) {
        const answer = await transport.unary(...call);
        if (++calls === 1) throw ConnectError.from(new TypeError("Failed to fetch"));
        return answer;
      },
    };
    const { products } = await createShop({ transport: lossy }).inventory.listProducts({});
    expect([products.length, calls]).toEqual([1, 2]);
  });

  test("for CreateOrder with one idempotency key, and another key for each order", async () => {
    const keys: string[] = [];
    const createOrder = ({ requestId }: { requestId: string }) => {
      keys.push(requestId);
      if (keys.length % 3 !== 0) throw unavailable();
      return {};
    };
    const { orders } = shopOf({ orders: { createOrder } });
    const request = create(CreateOrderRequestSchema, { items: [{ productId: "a", quantity: 1 }] });
    await orders.createOrder(request);
    await orders.createOrder(request);
    expect(keys).toHaveLength(6);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys.slice(0, 3)).size).toBe(1);
    expect(new Set(keys).size).toBe(2);
    expect(request.requestId).toBe("");
  });

  test("for every other method with an idempotency key", async () => {
    const keys: string[] = [];
    const answer = ({ requestId }: { requestId: string }) => {
      keys.push(requestId);
      if (keys.length % 2 !== 0) throw unavailable();
      return {};
    };
    const shop = shopOf({
      users: { register: answer },
      inventory: { createProduct: answer, adjustStock: answer },
    });
    await shop.users.register({ username: "ada" });
    await shop.inventory.createProduct({ product: { name: "Teapot" } });
    await shop.inventory.adjustStock({ onHandDelta: 1 });
    expect([keys.length, new Set(keys).size, keys.includes("")]).toEqual([6, 3, false]);
  });

  test("with the caller's own idempotency key, in the request or as a header", async () => {
    const keys: string[] = [];
    const { orders } = shopOf({
      orders: {
        createOrder: ({ requestId }, { requestHeader }) => {
          keys.push(`${requestId}/${requestHeader.get("idempotency-key")}`);
          return {};
        },
      },
    });
    await orders.createOrder({ requestId: "mine" });
    await orders.createOrder({}, { headers: { "idempotency-key": "mine" } });
    expect(keys).toEqual(["mine/null", "/mine"]);
  });
});

describe("a call is made once", () => {
  test("when a retry is not safe, even if the server asks for one", async () => {
    const cancelOrder = failing(1, unavailable, {});
    const error = await errorOf(shopOf({ orders: { cancelOrder: cancelOrder.answer } }).orders.cancelOrder({}));
    expect([error.code, cancelOrder.times()]).toEqual([Code.Unavailable, 1]);
  });

  test.for([
    [Code.NotFound, "PRODUCT_NOT_FOUND"],
    [Code.InvalidArgument, "INVALID_FIELDS"],
    [Code.Internal, ""],
  ] as const)("when it would get the same answer again: %s", async ([code, reason]) => {
    const getProductByID = failing(1, () => refusal(code, reason), {});
    const error = await errorOf(
      shopOf({ inventory: { getProductByID: getProductByID.answer } }).inventory.getProductByID({}),
    );
    expect([error.code, reasonOf(error), getProductByID.times()]).toEqual([code, reason, 1]);
  });
});

function stopTheClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
}

describe("a call ends", () => {
  afterEach(() => void vi.useRealTimers());

  test("with the last error after the maximum number of attempts", async () => {
    const listProducts = failing(Number.POSITIVE_INFINITY, unavailable, {});
    const { inventory } = shopOf({ inventory: { listProducts: listProducts.answer } }, { attempts: 3 });
    expect(reasonOf(await errorOf(inventory.listProducts({})))).toBe("DEPENDENCY_UNAVAILABLE");
    expect(listProducts.times()).toBe(3);
  });

  test("at once when the server's retry delay exceeds the deadline", async () => {
    const overloaded = () => refusal(Code.ResourceExhausted, "ORDERS_OVERLOADED", 900);
    const listProducts = failing(1, overloaded, {});
    const { inventory } = shopOf({ inventory: { listProducts: listProducts.answer } });
    stopTheClock();
    const error = await errorOf(inventory.listProducts({}, { timeoutMs: 600 }));
    expect([error.code, listProducts.times()]).toEqual([Code.ResourceExhausted, 1]);
  });

  test("at its deadline, which has a default and is sent to the server", async () => {
    const left: (number | undefined)[] = [];
    const { inventory } = shopOf(
      {
        inventory: {
          listProducts: async (_, { timeoutMs, signal }) => {
            left.push(timeoutMs());
            if (left.length === 1) throw unavailable();
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            return {};
          },
        },
      },
      { timeoutMs: 200 },
    );
    stopTheClock();
    const ended = errorOf(inventory.listProducts({}));
    await vi.advanceTimersByTimeAsync(199);
    expect(left).toHaveLength(2);
    expect(left[0]).toBeLessThanOrEqual(200);
    expect(left[1]).toBeLessThan(left[0]!);
    expect(await Promise.race([ended, "not yet"])).toBe("not yet");
    await vi.advanceTimersByTimeAsync(1);
    expect((await ended).code).toBe(Code.DeadlineExceeded);
  });

  test("when its caller aborts during a pause", async () => {
    const listProducts = failing(1, () => refusal(Code.Unavailable, "DEPENDENCY_UNAVAILABLE", 900), {});
    const { inventory } = shopOf({ inventory: { listProducts: listProducts.answer } });
    const leaving = new AbortController();
    stopTheClock();
    const ended = errorOf(inventory.listProducts({}, { signal: leaving.signal }));
    await vi.advanceTimersByTimeAsync(899);
    expect(listProducts.times()).toBe(1);
    leaving.abort();
    expect([(await ended).code, listProducts.times()]).toEqual([Code.Canceled, 1]);
  });
});
