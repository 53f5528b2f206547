import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { WatchStockRequestSchema, WatchStockResponseSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { WatchOrderRequestSchema, WatchOrderResponseSchema } from "@shop/gen/shop/orders/v1/order_service_pb";
import { runPart, taskOf } from "./part.ts";

export interface WatchLoad {
  /** Of the public port. */
  readonly url: string;
  /** Of an administrator, who may watch and change everything. */
  readonly token: string;
  readonly protocol: "REST" | "gRPC";
  /** Each order is watched once, or the product by all watchers. */
  readonly of: { readonly orderIds: readonly string[] } | { readonly productId: string; readonly watchers: number };
  readonly changesPerSecond: number;
  /** One for each order at most. */
  readonly changes: number;
}
export interface WatchResult {
  /** From the request of a change, and so with its commit, to each message about it, in milliseconds, ascending. */
  readonly delaysMs: readonly number[];
  /** Messages that did not arrive within 30 s of the last change. */
  readonly missing: number;
  /** Versions that did not follow the one before, or arrived without a change. */
  readonly wrong: number;
}

/** The default limit of an HTTP/2 connection. */
const streamsPerConnection = 100;
/** Requests of watches in flight: they are opened gently. */
const openedAtOnce = 50;
const settleMs = 10_000;
const lateMs = 30_000;
const tickMs = 5;

/** Opens watches in a separate process. `opened` is called when all have answered and the memory has settled; then changes begin. */
export async function watchAndChange(task: WatchLoad, opened: () => void): Promise<WatchResult> {
  return await runPart<WatchResult>("watchers", task, opened);
}

/** The process that watches. */
export async function watchInPart(): Promise<void> {
  const task = await taskOf<WatchLoad>();
  const { of, changes, changesPerSecond } = task;
  const targets = "orderIds" in of ? of.orderIds : Array<string>(of.watchers).fill(of.productId);
  const isOrder = "orderIds" in of;
  const sessions: ClientHttp2Session[] = [];
  /** By target and version. */
  const requestedAt = new Map<string, number>();
  const delaysMs: number[] = [];
  let wrong = 0;

  async function open(index: number): Promise<void> {
    const target = targets[index]!;
    sessions[Math.floor(index / streamsPerConnection)] ??= connect(task.url);
    const session = sessions[Math.floor(index / streamsPerConnection)]!;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let last: number | undefined;
    request(session, task, target, isOrder, (version) => {
      resolve();
      if (version === undefined) return;
      if (last !== undefined || isOrder) {
        const changedAt = requestedAt.get(`${target}/${version}`);
        if (changedAt === undefined || (last !== undefined && version !== last + 1)) wrong++;
        else delaysMs.push(performance.now() - changedAt);
      }
      last = version;
    }).once("error", reject);
    await promise;
  }

  let next = 0;
  const opening = Array.from({ length: openedAtOnce }, async () => {
    while (next < targets.length) await open(next++);
  });
  await Promise.all(opening);
  await delay(settleMs);
  process.send!("opened");

  const changer = connect(task.url);
  const begun = performance.now();
  const changing: Promise<void>[] = [];
  while (changing.length < changes) {
    while (changing.length < Math.min(changes, ((performance.now() - begun) * changesPerSecond) / 1000)) {
      const n = changing.length;
      const target = targets[n % targets.length]!;
      // Orders are confirmed, version 2; the product has its first movement.
      requestedAt.set(`${target}/${isOrder ? 3 : n + 2}`, performance.now());
      changing.push(change(changer, task.token, target, isOrder));
    }
    await delay(tickMs);
  }
  await Promise.all(changing);
  const expected = isOrder ? changes : changes * targets.length;
  const until = performance.now() + lateMs;
  while (delaysMs.length < expected && performance.now() < until) await delay(tickMs);
  const result = { delaysMs: delaysMs.toSorted((a, b) => a - b), missing: expected - delaysMs.length, wrong };
  process.send!(result);
}

async function change(session: ClientHttp2Session, token: string, target: string, isOrder: boolean): Promise<void> {
  const stream = session.request({
    ":method": isOrder ? "PATCH" : "POST",
    ":path": isOrder ? `/orders/${target}` : `/products/${target}:adjustStock`,
    "content-type": "application/json",
    authorization: `Bearer ${token}`,
  });
  stream.end(JSON.stringify(isOrder ? { status: "ORDER_STATUS_SHIPPED" } : { on_hand_delta: 1, reason: "counted" }));
  const [head] = await once(stream, "response");
  if (head[":status"] !== 200) throw new Error(`a change was answered with ${head[":status"]}`);
  stream.resume();
}

/** Requests a watch; `received` gets the version of each message, undefined for a heartbeat. */
function request(
  session: ClientHttp2Session,
  { token, protocol }: WatchLoad,
  target: string,
  isOrder: boolean,
  received: (version: number | undefined) => void,
) {
  const authorization = `Bearer ${token}`;
  let rest = Buffer.alloc(0);
  if (protocol === "REST") {
    const path = isOrder ? `/orders/${target}:watch?after_version=2` : `/products/${target}:watchStock`;
    const stream = session.request({ ":path": path, authorization });
    return stream.on("data", (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const { order, stock } = JSON.parse(rest.toString("utf8", 0, end));
        rest = rest.subarray(end + 1);
        received(order?.version ?? (stock && Number(stock.sequence)));
      }
    });
  }
  const stream = session.request({
    ":method": "POST",
    ":path": isOrder ? "/shop.orders.v1.OrderService/WatchOrder" : "/shop.inventory.v1.InventoryService/WatchStock",
    "content-type": "application/grpc+proto",
    te: "trailers",
    authorization,
  });
  const message = isOrder
    ? toBinary(WatchOrderRequestSchema, create(WatchOrderRequestSchema, { orderId: target, afterVersion: 2 }))
    : toBinary(WatchStockRequestSchema, create(WatchStockRequestSchema, { productId: target }));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
  return stream.on("data", (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const payload = rest.subarray(5, 5 + rest.readUInt32BE(1));
      rest = rest.subarray(5 + payload.length);
      received(
        isOrder
          ? fromBinary(WatchOrderResponseSchema, payload).order?.version
          : fromBinary(WatchStockResponseSchema, payload).stock?.sequence,
      );
    }
  });
}
