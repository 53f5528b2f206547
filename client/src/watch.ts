import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import type { InventoryService, Stock } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { type Order, type OrderEvent, type OrderService, OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { isLost, isUnauthenticated, retryAfterMs } from "./errors.ts";
import { pause, pauseMs } from "./pause.ts";

/** The server gives a sign of life every 30 seconds: when two are missing nobody is there any more. */
const silenceMs = 75_000;
/** For so long a watch tries to get back to a shop that it can't reach. */
const patienceMs = 300_000;

/** Where a watch ends. Compared with the transitions of the service by tests/architecture/final-statuses.test.ts. */
export const finalStatuses: ReadonlySet<OrderStatus> = new Set([
  OrderStatus.REJECTED,
  OrderStatus.CANCELLED,
  OrderStatus.RETURNED,
]);

/** An order as it was right after a move, and the move. */
export interface OrderMove {
  readonly order: Order;
  readonly event: OrderEvent;
}

export interface WatchOptions {
  /** The last version, or sequence, that is known: what comes after it is told. 0, or absent: as it is now, and what comes. */
  readonly after?: number;
  /** Leaves: the watch throws CANCELED. */
  readonly signal?: AbortSignal;
}

/** What is watched, as a series of numbered answers. */
interface Series<Answer, News> {
  open(after: number, options: CallOptions): AsyncIterable<Answer>;
  /** Undefined for a sign of life. */
  newsOf(answer: Answer): News | undefined;
  numberOf(news: News): number;
  isLast(news: News): boolean;
}

export function watchOrder(
  orders: Client<typeof OrderService>,
  orderId: string,
  options: WatchOptions,
): AsyncGenerator<OrderMove, void> {
  return watch(options, {
    open: (afterVersion, call) => orders.watchOrder({ orderId, afterVersion }, call),
    newsOf: ({ order, event }) => order && event && { order, event },
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
    newsOf: ({ stock }) => stock,
    numberOf: ({ sequence }) => sequence,
    isLast: () => false,
  });
}

/** Goes on from the last number that came, however often the connection breaks: nothing is missed, nothing comes twice. */
async function* watch<Answer, News>(
  { after = 0, signal }: WatchOptions,
  series: Series<Answer, News>,
): AsyncGenerator<News, void> {
  const leave = signal ?? new AbortController().signal;
  let seen = after;
  let heardAt = Date.now();
  /** In a row. */
  let failures = 0;
  for (;;) {
    const connection = new AbortController();
    const lost = new ConnectError("nothing was heard for too long", Code.Unavailable);
    const startTimer = () => setTimeout(() => connection.abort(lost), silenceMs);
    let timer = startTimer();
    try {
      for await (const answer of series.open(seen, { signal: AbortSignal.any([leave, connection.signal]) })) {
        clearTimeout(timer);
        timer = startTimer();
        failures = 0;
        heardAt = Date.now();
        const news = series.newsOf(answer);
        if (news === undefined) continue;
        seen = series.numberOf(news);
        yield news;
        if (series.isLast(news)) return;
      }
      return;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      if (leave.aborted) throw error;
      failures++;
      // An access token expires in the midst of a watch. The next one is as good as it gets.
      const mayHelp =
        isLost(error) || retryAfterMs(error) !== undefined || (isUnauthenticated(error) && failures === 1);
      if (!mayHelp || Date.now() - heardAt > patienceMs) throw error;
      await pause(pauseMs(error, failures), leave);
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
  }
}
