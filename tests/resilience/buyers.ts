import { setTimeout as delay } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { RetryInfoSchema } from "@shop/gen/google/rpc/error_details_pb";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { UserService } from "@shop/gen/shop/users/v1/user_service_pb";
import type { Random } from "./random.ts";
import type { Answer, Line, Recorder } from "./record.ts";

const callTimeoutMs = 8_000;
const password = "correct horse battery staple";

/** Errors that guarantee that the request was not executed. */
const certain = new Set([
  Code.Unauthenticated,
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.OutOfRange,
]);

/** Generated clients of the public port for a signed-in account; signs in again when the token has expired. */
export interface Account {
  readonly userId: string;
  readonly orders: Client<typeof OrderService>;
  readonly inventory: Client<typeof InventoryService>;
  renew(): Promise<void>;
}

export async function signUp(url: string, username: string): Promise<Account> {
  await visit(url, {}).users.register({ username, password });
  return await signIn(url, username, password);
}

export async function signIn(url: string, username: string, secret: string): Promise<Account> {
  const headers: { authorization?: string } = {};
  const { users, ...clients } = visit(url, headers);
  const anonymous = visit(url, {}).users;
  const renew = async () => {
    const { userId, accessToken } = await anonymous.authenticate({ username, password: secret });
    headers.authorization = `Bearer ${accessToken}`;
    return userId;
  };
  const userId = await renew();
  return { ...clients, userId, renew: async () => void (await renew()) };
}

function visit(url: string, headers: Readonly<{ authorization?: string }>) {
  const withHeaders: Interceptor = (next) => (request) => {
    if (headers.authorization !== undefined) request.header.set("authorization", headers.authorization);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    useBinaryFormat: true,
    interceptors: [withHeaders],
    defaultTimeoutMs: callTimeoutMs,
  });
  return {
    users: createClient(UserService, transport),
    orders: createClient(OrderService, transport),
    inventory: createClient(InventoryService, transport),
  };
}

/** The behaviour of the buyers. Shares are fractions of 1. */
export interface Habits {
  readonly thinkMs: number;
  readonly mostLines: number;
  readonly mostOfEach: number;
  /** Orders placed without a key, hence never retried. */
  readonly keyless: number;
  /** Keyed orders that are sent twice, concurrently or later. */
  readonly duplicates: number;
  /** Keys that are reused for another request. */
  readonly reuses: number;
  readonly cancels: number;
}

export const usualHabits: Habits = {
  thinkMs: 60,
  mostLines: 4,
  mostOfEach: 3,
  keyless: 0.1,
  duplicates: 0.02,
  reuses: 0.01,
  cancels: 0.2,
};

/** Signals that end the run. */
export interface Closing {
  /** No new orders from here on; requests without a certain answer are still retried. */
  readonly closing: AbortSignal;
  /** All buyers stop. */
  readonly closed: AbortSignal;
}

/** One shopper: orders, cancels, retries without an answer. Resolves when they have stopped. */
export async function buy(
  account: Account,
  name: string,
  on: { readonly recorder: Recorder; readonly random: Random; readonly habits: Habits; readonly until: Closing },
): Promise<void> {
  const { recorder, random, habits, until } = on;
  const productIds = recorder.history.products.map(({ productId }) => productId);
  const { userId, orders } = account;

  /** Sends a request until it has a certain answer; once only if it has no key. */
  async function place(
    key: string | undefined,
    lines: readonly Line[],
    note: (answer: Answer) => void,
  ): Promise<string | undefined> {
    while (!until.closed.aborted) {
      try {
        const { order } = await orders.createOrder({
          items: lines.map((line) => ({ ...line })),
          ...(key === undefined ? {} : { requestId: key }),
        });
        note({ kind: "accepted", orderId: order!.orderId, at: Date.now() });
        return order!.orderId;
      } catch (error) {
        const answer = answerOf(error);
        note(answer);
        if (answer.code === "Unauthenticated") await account.renew().catch(() => {});
        if (answer.kind === "refused" && answer.code !== "Unauthenticated") return undefined;
        if (key === undefined) return undefined;
        await pause(random.integer(50, 500) + retryDelayMs(error), until.closed);
      }
    }
    return undefined;
  }

  async function cancel(orderId: string): Promise<void> {
    while (!until.closed.aborted) {
      try {
        await orders.cancelOrder({ orderId });
        recorder.moved({ orderId, to: "CANCELLED" });
        return;
      } catch (error) {
        if (answerOf(error).code === "Unauthenticated") await account.renew().catch(() => {});
        else if (answerOf(error).kind === "refused") return;
        await pause(random.integer(50, 500), until.closed);
      }
    }
  }

  const changesOfMind: Promise<void>[] = [];
  for (let turn = 0; !until.closing.aborted; turn++) {
    const lines = someLines(random, productIds, habits);
    const key = random.chance(habits.keyless) ? undefined : `${name}-${turn}`;
    const note = recorder.asked({ userId, key, lines });
    const isSentTwice = key !== undefined && random.chance(habits.duplicates);
    const isReused = key !== undefined && random.chance(habits.reuses);
    const isCancelled = random.chance(habits.cancels);
    const cancelAfterMs = random.chance(0.5) ? 0 : random.integer(0, 3_000);
    const sendings =
      isSentTwice && random.chance(0.5)
        ? [place(key, lines, note), place(key, lines, note)]
        : [place(key, lines, note)];
    const [orderId] = await Promise.all(sendings);
    if (isSentTwice && sendings.length === 1) await place(key, lines, note);
    if (isReused && orderId !== undefined) {
      const others = someLines(random, productIds, habits);
      if (sumOf(others) !== sumOf(lines)) await place(key, others, recorder.asked({ userId, key, lines: others }));
    }
    if (isCancelled && orderId !== undefined) {
      changesOfMind.push(pause(cancelAfterMs, until.closed).then(() => cancel(orderId)));
    }
    await pause(random.integer(0, 2 * habits.thinkMs), until.closing);
  }
  await Promise.all(changesOfMind);
}

/** The shop's clerk: ships some confirmed orders and adjusts stock. Resolves when they have stopped. */
export async function keepShop(
  account: Account,
  on: { readonly recorder: Recorder; readonly random: Random; readonly until: Closing },
): Promise<void> {
  const { recorder, random, until } = on;
  for (let turn = 0; !until.closing.aborted; turn++) {
    await pause(random.integer(200, 1_000), until.closing);
    try {
      if (random.chance(0.6)) {
        const { orders } = await account.orders.listOrders({ status: OrderStatus.CONFIRMED, pageSize: 20 });
        if (orders.length === 0) continue;
        const { orderId } = random.pick(orders);
        await account.orders.updateOrderStatus({ orderId, status: OrderStatus.SHIPPED });
        recorder.moved({ orderId, to: "SHIPPED" });
      } else await adjust(turn);
    } catch (error) {
      if (answerOf(error).code === "Unauthenticated") await account.renew().catch(() => {});
    }
  }

  async function adjust(turn: number): Promise<void> {
    const { productId } = random.pick(recorder.history.products);
    const delta = random.chance(0.7) ? random.integer(1, 20) : -random.integer(1, 5);
    const requestId = `adjustment-${turn}`;
    let outcome: "done" | "refused" | "unknown" = "unknown";
    while (outcome === "unknown" && !until.closed.aborted) {
      try {
        await account.inventory.adjustStock({ productId, onHandDelta: delta, reason: "a count", requestId });
        outcome = "done";
      } catch (error) {
        const { code, kind } = answerOf(error);
        if (code === "Unauthenticated") await account.renew().catch(() => {});
        else if (kind === "refused") outcome = "refused";
        await pause(200, until.closed);
      }
    }
    recorder.adjusted({ productId, requestId, delta, outcome });
  }
}

function someLines(random: Random, productIds: readonly string[], habits: Habits): Line[] {
  // A few products are popular.
  const wanted = Array.from({ length: random.integer(1, habits.mostLines) }, () => {
    const share = random.chance(0.4) ? 0.1 : 1;
    return productIds[Math.floor(random.next() * productIds.length * share)]!;
  });
  return [...new Set(wanted)].map((productId) => ({ productId, quantity: random.integer(1, habits.mostOfEach) }));
}

function sumOf(lines: readonly Line[]): string {
  return lines
    .map(({ productId, quantity }) => `${productId} ${quantity}`)
    .toSorted()
    .join();
}

/** The retry delay that the shop requests. */
function retryDelayMs(error: unknown): number {
  const [info] = ConnectError.from(error).findDetails(RetryInfoSchema);
  return info?.retryDelay === undefined ? 0 : durationMs(info.retryDelay);
}

function answerOf(error: unknown): Exclude<Answer, { kind: "accepted" }> {
  const { code, rawMessage: message } = ConnectError.from(error);
  const answer = { code: Code[code], at: Date.now() };
  return certain.has(code) ? { kind: "refused", ...answer } : { kind: "unknown", ...answer, message };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
