import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { CreateOrderRequestSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { afterEach, describe, expect, test, vi } from "vitest";
import { reasonOf } from "./errors.ts";
import { createShop, type ShopOptions } from "./shop.ts";
import { type Answers, errorOf, refusal, transportTo, unavailable } from "./testing.ts";

const shopOf = (answers: Answers, rules: Partial<ShopOptions> = {}) =>
  createShop({ transport: transportTo(answers), ...rules });

/** Fails `times` times, then answers. */
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

describe("a call is repeated", () => {
  test("when it only reads and the server is unavailable", async () => {
    const listProducts = failing(2, unavailable, { products: [{ name: "Teapot" }] });
    const { products } = await shopOf({ inventory: { listProducts: listProducts.answer } }).inventory.listProducts({});
    expect(products.map(({ name }) => name)).toEqual(["Teapot"]);
    expect(listProducts.times()).toBe(3);
  });

  test("not sooner than the server has asked for", async () => {
    const overloaded = () => refusal(Code.ResourceExhausted, "ORDERS_OVERLOADED", 120);
    const listProducts = failing(1, overloaded, {});
    await shopOf({ inventory: { listProducts: listProducts.answer } }).inventory.listProducts({});
    expect(listProducts.pauses()[0]).toBeGreaterThanOrEqual(119);
  });

  test("when its answer was lost on the way", async () => {
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

  test("for an order under one and the same name, and each order has another", async () => {
    const names: string[] = [];
    const createOrder = ({ requestId }: { requestId: string }) => {
      names.push(requestId);
      if (names.length % 3 !== 0) throw unavailable();
      return {};
    };
    const { orders } = shopOf({ orders: { createOrder } });
    const request = create(CreateOrderRequestSchema, { items: [{ productId: "a", quantity: 1 }] });
    await orders.createOrder(request);
    await orders.createOrder(request);
    expect(names).toHaveLength(6);
    expect(names[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(names.slice(0, 3)).size).toBe(1);
    expect(new Set(names).size).toBe(2);
    expect(request.requestId).toBe("");
  });

  test("for whatever else can be made once under a name", async () => {
    const names: string[] = [];
    const answer = ({ requestId }: { requestId: string }) => {
      names.push(requestId);
      if (names.length % 2 !== 0) throw unavailable();
      return {};
    };
    const shop = shopOf({
      users: { register: answer },
      inventory: { createProduct: answer, adjustStock: answer },
    });
    await shop.users.register({ username: "ada" });
    await shop.inventory.createProduct({ product: { name: "Teapot" } });
    await shop.inventory.adjustStock({ onHandDelta: 1 });
    expect([names.length, new Set(names).size, names.includes("")]).toEqual([6, 3, false]);
  });

  test("for an order under the name that its caller gave, in the request or as Idempotency-Key", async () => {
    const names: string[] = [];
    const { orders } = shopOf({
      orders: {
        createOrder: ({ requestId }, { requestHeader }) => {
          names.push(`${requestId}/${requestHeader.get("idempotency-key")}`);
          return {};
        },
      },
    });
    await orders.createOrder({ requestId: "mine" });
    await orders.createOrder({}, { headers: { "idempotency-key": "mine" } });
    expect(names).toEqual(["mine/null", "/mine"]);
  });
});

describe("a call is made once", () => {
  test("when a second time could do harm, whatever the server says", async () => {
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

/** Time stands still from here on, and passes only as the test says. */
function stopTheClock(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
}

describe("a call ends", () => {
  afterEach(() => void vi.useRealTimers());

  test("with the last error after so many attempts", async () => {
    const listProducts = failing(Number.POSITIVE_INFINITY, unavailable, {});
    const { inventory } = shopOf({ inventory: { listProducts: listProducts.answer } }, { attempts: 3 });
    expect(reasonOf(await errorOf(inventory.listProducts({})))).toBe("DEPENDENCY_UNAVAILABLE");
    expect(listProducts.times()).toBe(3);
  });

  test("at once when the server wants to be asked again after the deadline only", async () => {
    const overloaded = () => refusal(Code.ResourceExhausted, "ORDERS_OVERLOADED", 900);
    const listProducts = failing(1, overloaded, {});
    const { inventory } = shopOf({ inventory: { listProducts: listProducts.answer } });
    stopTheClock();
    const error = await errorOf(inventory.listProducts({}, { timeoutMs: 600 }));
    expect([error.code, listProducts.times()]).toEqual([Code.ResourceExhausted, 1]);
  });

  test("at its deadline, which it has by default and tells the server", async () => {
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

  test("when its caller leaves in a pause", async () => {
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
