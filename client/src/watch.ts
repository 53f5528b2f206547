import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import type { InventoryService, Stock } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Order, type OrderEvent, type OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { isLost, isUnauthenticated, retryAfterMs } from "./errors.ts";
import { pause, pauseMs } from "./pause.ts";

/** The server sends a heartbeat every 30 seconds: after two missing ones the connection is considered broken. */
const heartbeatTimeoutMs = 75_000;
/** A watch tries this long to reconnect. */
const reconnectForMs = 300_000;

/** A watch ends at these. Compared with the service's transitions by tests/architecture/final-statuses.test.ts. */
export const finalStatuses: ReadonlySet<OrderStatus> = new Set([
  OrderStatus.REJECTED,
  OrderStatus.CANCELLED,
  OrderStatus.RETURNED,
]);

/** A transition, and the order right after it. */
export interface OrderTransition {
  readonly order: Order;
  readonly event: OrderEvent;
}

export interface WatchOptions {
  /** The last version, or sequence, that the caller has: only later ones are sent. 0 or absent: the current one, and later ones. */
  readonly after?: number;
  /** Ends the watch, which throws CANCELED. */
  readonly signal?: AbortSignal;
}

/** A stream of numbered items. */
interface Series<Response, Item> {
  open(after: number, options: CallOptions): AsyncIterable<Response>;
  /** Undefined for a heartbeat. */
  itemOf(response: Response): Item | undefined;
  numberOf(item: Item): number;
  isLast(item: Item): boolean;
}

export function watchOrder(
  orders: Client<typeof OrderService>,
  orderId: string,
  options: WatchOptions,
): AsyncGenerator<OrderTransition, void> {
  return watch(options, {
    open: (afterVersion, call) => orders.watchOrder({ orderId, afterVersion }, call),
    itemOf: ({ order, event }) => order && event && { order, event },
    numberOf: ({ order }) => order.version,
    isLast: ({ order }) => finalStatuses.has(order.status),
  });
}

export function watchStock(
  inventory: Client<typeof InventoryService>,
  productId: string,
  options: WatchOptions,
): AsyncGenerator<Stock, void> {
  return watch(options, {
    open: (afterSequence, call) => inventory.watchStock({ productId, afterSequence }, call),
    itemOf: ({ stock }) => stock,
    numberOf: ({ sequence }) => sequence,
    isLast: () => false,
  });
}

/**
 * Reads a series over any number of connections, each resumed after the last number received. A connection without a response for
 * {@link heartbeatTimeoutMs} is aborted. After an error that a new connection may solve, it reconnects with backoff; failures are counted
 * since the last response. Ends when the server ends the stream or after the last item.
 */
async function* watch<Response, Item>(
  { after = 0, signal }: WatchOptions,
  series: Series<Response, Item>,
): AsyncGenerator<Item, void> {
  const stopped = signal ?? new AbortController().signal;
  let lastNumber = after;
  let lastResponseAt = Date.now();
  let failures = 0;
  for (;;) {
    const connection = new AbortController();
    const lost = new ConnectError("no heartbeat received", Code.Unavailable);
    const startTimer = () => setTimeout(() => connection.abort(lost), heartbeatTimeoutMs);
    let timer = startTimer();
    try {
      const responses = series.open(lastNumber, { signal: AbortSignal.any([stopped, connection.signal]) });
      for await (const response of responses) {
        clearTimeout(timer);
        timer = startTimer();
        failures = 0;
        lastResponseAt = Date.now();
        const item = series.itemOf(response);
        if (item === undefined) continue;
        lastNumber = series.numberOf(item);
        yield item;
        if (series.isLast(item)) return;
      }
      return;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (stopped.aborted) throw error;
      failures++;
      // The access token may have expired during the watch; a second refusal in a row is final.
      const mayHelp =
        isLost(error) || retryAfterMs(error) !== undefined || (isUnauthenticated(error) && failures === 1);
      if (!mayHelp || Date.now() - lastResponseAt > reconnectForMs) throw error;
      await pause(pauseMs(error, failures), stopped);
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }
}
