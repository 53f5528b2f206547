import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "@shop/gen/shop/orders/v1/order_service_pb";
import { expect } from "vitest";
import { eventually } from "../e2e/eventually.ts";
import type { CrashableName, CrashShop, ServiceName } from "./crash-shop.ts";
import { eventsOfOrders } from "./observe.ts";
import type { Instructions } from "./step-proxy.ts";

/** The units of each of a flow's own two products. */
const stocked = 5;

/** A use case of one service, as a sequence of steps. */
export interface Flow {
  readonly name: string;
  readonly service: CrashableName;
  /** Steps that the flow has to contain; proves that the recording is complete. */
  readonly has: readonly string[];
  /** Concurrent steps of the service that belong to another flow. */
  readonly except?: RegExp;
  /** Whether the service's start triggers it. */
  readonly startsDead?: boolean;
  /** Reads of several requests that are released together. */
  readonly together?: NonNullable<Instructions["together"]>;
  /** Brings a shop to the state right before the flow, with its own products. */
  prepare(shop: CrashShop): Promise<Journey>;
}

export interface Journey {
  /** The prefix of its request ids and SKUs. */
  readonly name: string;
  /** Triggers the flow, and is safe to repeat: resolves once the shop has accepted it. */
  act(): Promise<void>;
  /** The expected result. */
  readonly outcome: Outcome;
  /** Other correct results, when a crash changes the order of concurrent work. */
  readonly orElse?: readonly Outcome[];
  /** Whether the flow begins with an OrderPlaced that is permanently lost. */
  readonly losesPlaced?: boolean;
  /** Possible results of a request that was not accepted, until it is retried. */
  readonly partly?: readonly Outcome[];
}

/** The complete state of a journey, in all places. */
export interface Outcome {
  /** The statuses of each of its orders, in sequence. */
  readonly orders: readonly (readonly string[])[];
  readonly products: readonly { readonly onHand: number; readonly reserved: number; readonly available: number }[];
  /** The ledger's movements of its products and orders, in sequence. */
  readonly movements: readonly string[];
  /** Events that were not published, or not consumed. */
  readonly onTheirWay: number;
  readonly deadLetters: number;
}

const received = ["received", "received"];
const outcome = (
  orders: Outcome["orders"],
  stock: readonly (readonly [onHand: number, reserved: number])[],
  movements: readonly string[],
): Outcome => ({
  orders,
  products: stock.map(([onHand, reserved]) => ({ onHand, reserved, available: onHand - reserved })),
  movements,
  onTheirWay: 0,
  deadLetters: 0,
});

async function addProduct(shop: CrashShop, sku: string): Promise<string> {
  const price = { currencyCode: "EUR", minorUnits: 995n };
  const { product } = await shop.inventory.createProduct({
    product: { name: "Thing", category: "Things", price, stock: stocked, sku },
  });
  return product!.productId;
}

/** Two products, and an order of one of the first and of `quantity` of the second that can be placed. */
async function twoProducts(shop: CrashShop, quantity = 2) {
  const name = randomUUID();
  const productIds = [await addProduct(shop, `${name}.0`), await addProduct(shop, `${name}.1`)];
  const items = productIds.map((productId, n) => ({ productId, quantity: n === 0 ? 1 : quantity }));
  async function place(n = 0, buyer = shop.orders): Promise<string> {
    const { order } = await buyer.createOrder({ items, requestId: `${name}.${n}` });
    return order!.orderId;
  }
  const adjust = async (n = 0) =>
    void (await shop.inventory.adjustStock({
      productId: productIds[n]!,
      onHandDelta: 3,
      reason: "counted",
      requestId: `${name}.${n}`,
    }));
  return { name, place, adjust };
}

/** A confirmed order; optionally moved to a later status. */
async function confirmed(shop: CrashShop, ...moves: readonly OrderStatus[]) {
  const { name, place } = await twoProducts(shop);
  const orderId = await place();
  await untilQuiet(shop, name, (orders) => orders[0]?.at(-1) === "confirmed");
  for (const status of moves) await moveOn(shop, orderId, status);
  await untilQuiet(shop, name, () => true);
  return { name, orderId };
}

async function moveOn(shop: CrashShop, orderId: string, status: OrderStatus): Promise<void> {
  await shop.orders.updateOrderStatus({ orderId, status, reason: "as it goes" });
}

async function untilQuiet(shop: CrashShop, name: string, when: (orders: Outcome["orders"]) => boolean): Promise<void> {
  await eventually(async () => {
    const { orders, onTheirWay } = await observe(shop, name, { asPublic: false });
    if (onTheirWay > 0 || !when(orders)) throw new Error(`${name} does not exist yet: ${JSON.stringify(orders)}`);
  });
}

/** Waits until the ledger has these movements of a journey. */
async function untilMoved(shop: CrashShop, name: string, count: number): Promise<void> {
  await eventually(
    async () => {
      const { movements } = await observe(shop, name, { asPublic: false });
      if (movements.length < count) throw new Error(`the ledger has only this of ${name}: ${movements.join()}`);
    },
    { timeoutMs: 30_000 },
  );
}

const buying = (quantity: number, ended: string, reserved: readonly [number, number]) => async (shop: CrashShop) => {
  const { name, place } = await twoProducts(shop, quantity);
  return {
    name,
    act: async () => void (await place()),
    outcome: outcome(
      [["pending", ended]],
      reserved.map((count) => [stocked, count] as const),
      [...received, reserved[0] === 0 ? "refused" : "reserved"],
    ),
  };
};
const sold = buying(2, "confirmed", [1, 2]);
const soldOut = buying(stocked + 1, "rejected", [0, 0]);

async function cancelling(shop: CrashShop): Promise<Journey> {
  const { name, orderId } = await confirmed(shop);
  return {
    name,
    act: async () => void (await shop.orders.cancelOrder({ orderId })),
    outcome: outcome(
      [["pending", "confirmed", "cancelled"]],
      [
        [stocked, 0],
        [stocked, 0],
      ],
      [...received, "reserved", "released"],
    ),
  };
}

async function shipping(shop: CrashShop): Promise<Journey> {
  const { name, orderId } = await confirmed(shop);
  return {
    name,
    act: () => moveOn(shop, orderId, OrderStatus.SHIPPED),
    outcome: outcome(
      [["pending", "confirmed", "shipped"]],
      [
        [stocked - 1, 0],
        [stocked - 2, 0],
      ],
      [...received, "reserved", "shipped"],
    ),
  };
}

async function returning(shop: CrashShop): Promise<Journey> {
  const { name, orderId } = await confirmed(shop, OrderStatus.SHIPPED, OrderStatus.DELIVERED);
  return {
    name,
    act: () => moveOn(shop, orderId, OrderStatus.RETURNED),
    outcome: outcome(
      [["pending", "confirmed", "shipped", "delivered", "returned"]],
      [
        [stocked, 0],
        [stocked, 0],
      ],
      [...received, "reserved", "shipped", "returned"],
    ),
  };
}

async function adjusting(shop: CrashShop): Promise<Journey> {
  const { name, adjust } = await twoProducts(shop);
  return {
    name,
    act: () => adjust(),
    outcome: outcome(
      [],
      [
        [stocked + 3, 0],
        [stocked, 0],
      ],
      [...received, "adjusted"],
    ),
  };
}

async function stocking(shop: CrashShop): Promise<Journey> {
  const name = randomUUID();
  return {
    name,
    async act() {
      try {
        await addProduct(shop, `${name}.0`);
      } catch (error) {
        // Its SKU is taken: by the first attempt.
        if (ConnectError.from(error).code !== Code.AlreadyExists) throw error;
      }
    },
    outcome: outcome([], [[stocked, 0]], ["received"]),
  };
}

/** Two orders whose events were unpublished when orders crashed. */
async function leavingOrders(shop: CrashShop): Promise<Journey> {
  const { name, place } = await twoProducts(shop, 1);
  shop.instruct("orders", { hold: "publish" });
  for (const n of [0, 1]) await place(n);
  await leaveBehind(shop, "orders");
  return {
    name,
    async act() {},
    outcome: outcome(
      [
        ["pending", "confirmed"],
        ["pending", "confirmed"],
      ],
      [
        [stocked, 2],
        [stocked, 2],
      ],
      [...received, "reserved", "reserved"],
    ),
  };
}

/** A ledger entry whose product's balance was not updated when inventory crashed. */
async function leavingEntries(shop: CrashShop): Promise<Journey> {
  const { name, adjust } = await twoProducts(shop);
  shop.instruct("inventory", { hold: "update products" });
  // One: a process appends one entry at a time, so a second adjustment waits for the first.
  const unanswered = adjust(0).catch(() => {});
  await untilMoved(shop, name, received.length + 1);
  await leaveBehind(shop, "inventory");
  await unanswered;
  return {
    name,
    async act() {},
    outcome: outcome(
      [],
      [
        [stocked + 3, 0],
        [stocked, 0],
      ],
      [...received, "adjusted"],
    ),
  };
}

/** An order of every buyer, all with the same request id, all inserted at once. */
async function placingTogether(shop: CrashShop): Promise<Journey> {
  const { name, place } = await twoProducts(shop, 1);
  const placed = (count: number) =>
    outcome(
      Array(count).fill(["pending", "confirmed"]),
      [
        [stocked, count],
        [stocked, count],
      ],
      [...received, ...Array<string>(count).fill("reserved")],
    );
  return {
    name,
    act: async () => void (await Promise.all(shop.buyers.map((buyer) => place(0, buyer)))),
    outcome: placed(shop.buyers.length),
    partly: shop.buyers.slice(1).map((_, n) => placed(n + 1)),
  };
}

/** Two products, and an order whose event is still in the outbox. */
async function unheard(shop: CrashShop) {
  const { name, place } = await twoProducts(shop);
  shop.instruct("orders", { hold: "publish OrderPlaced" });
  return { name, orderId: await place() };
}

const nothingReserved = [
  [stocked, 0],
  [stocked, 0],
] as const;
const calledOff = outcome([["pending", "cancelled"]], nothingReserved, [...received, "void"]);

async function cancellingUndecided(shop: CrashShop): Promise<Journey> {
  const { name, orderId } = await unheard(shop);
  return {
    name,
    act: async () => void (await shop.orders.cancelOrder({ orderId })),
    outcome: calledOff,
    // The sweeper may have published the order before its end, or before it was cancelled.
    orElse: ["pending", "confirmed"].map((last) =>
      outcome(
        [last === "pending" ? ["pending", "cancelled"] : ["pending", "confirmed", "cancelled"]],
        nothingReserved,
        [...received, "reserved", "released"],
      ),
    ),
    partly: [
      outcome(
        [["pending", "confirmed"]],
        [
          [stocked, 1],
          [stocked, 2],
        ],
        [...received, "reserved"],
      ),
    ],
  };
}

/** An order whose OrderPlaced reaches inventory after its OrderCancelled. */
async function placedTooLate(shop: CrashShop): Promise<Journey> {
  const { name, orderId } = await unheard(shop);
  let isTold = false;
  return {
    name,
    async act() {
      await shop.orders.cancelOrder({ orderId });
      if (isTold) return;
      await untilMoved(shop, name, received.length + 1);
      await leaveBehind(shop, "orders");
      shop.start("orders");
      isTold = true;
    },
    outcome: calledOff,
  };
}

/** An order of that age, all of whose events NATS has lost. */
async function leavingLost(shop: CrashShop, waitedMs: number): Promise<string> {
  const { name, orderId } = await unheard(shop);
  await leaveBehind(shop, "orders");
  const orders = shop.mongo.db("orders").collection<OrderRow>("orders");
  await orders.updateOne({ _id: orderId }, { $set: { outbox: [], create_time: new Date(Date.now() - waitedMs) } });
  return name;
}

/** Old enough to be reconciled, not to be cancelled. */
async function leavingUnanswered(shop: CrashShop): Promise<Journey> {
  return {
    name: await leavingLost(shop, 60_000),
    losesPlaced: true,
    async act() {},
    outcome: outcome(
      [["pending", "confirmed"]],
      [
        [stocked, 1],
        [stocked, 2],
      ],
      [...received, "reserved"],
    ),
  };
}

/** Old enough to be cancelled. */
async function leavingUndecided(shop: CrashShop): Promise<Journey> {
  const name = await leavingLost(shop, 600_000);
  // Another process holds the lease of the reconciliation and does not run it: otherwise the order might be decided in time.
  await shop.mongo
    .db("orders")
    .collection<LeaseRow>("leases")
    .insertOne({ _id: "ask-for-decisions", holder: elsewhere, expire_time: new Date(Date.now() + 600_000) });
  return { name, losesPlaced: true, async act() {}, outcome: calledOff };
}

/** A confirmed order whose event was unpublished when orders crashed. */
async function leavingDecided(shop: CrashShop): Promise<Journey> {
  const { name, place } = await twoProducts(shop);
  shop.instruct("orders", { hold: "publish OrderConfirmed" });
  await place();
  await eventually(async () => {
    const { orders, onTheirWay } = await observe(shop, name, { asPublic: false });
    // The decision, which stands for it.
    expect([orders, onTheirWay]).toEqual([[["pending", "confirmed"]], 1]);
  });
  await leaveBehind(shop, "orders");
  return {
    name,
    async act() {},
    outcome: outcome(
      [["pending", "confirmed"]],
      [
        [stocked, 1],
        [stocked, 2],
      ],
      [...received, "reserved"],
    ),
  };
}

/** Advances time until the leases and ack waits of this service's dead process have expired. */
export async function endLeases(shop: CrashShop, service: ServiceName): Promise<void> {
  await shop.mongo
    .db(service)
    .collection<LeaseRow>("leases")
    .deleteMany({ holder: { $ne: elsewhere } });
}

/** The id of a process that does not exist. */
const elsewhere = "elsewhere";

/** Kills a service, and advances time until the next process takes its work over. */
async function leaveBehind(shop: CrashShop, service: "orders" | "inventory"): Promise<void> {
  await shop.kill(service);
  const db = shop.mongo.db(service);
  await db.collection("leases").deleteMany({});
  await db
    .collection(service === "orders" ? "orders" : "ledger")
    .updateMany({ "outbox.0": { $exists: true } }, { $set: { "outbox.$[].time": new Date(Date.now() - 60_000) } });
}

/** Steps of applying a decision, which has its own flows. */
const following = "find changed orders|\\w+ decisions|publish Order(Confirmed|Rejected)|update orders|ack";

/** All flows. */
export const flows: readonly Flow[] = [
  {
    name: "place",
    service: "orders",
    has: ["insert orders", "publish OrderPlaced"],
    except: new RegExp(`^(${following})`),
    prepare: sold,
  },
  {
    name: "confirm",
    service: "orders",
    has: [
      "insert decisions",
      "update orders",
      "publish OrderConfirmed",
      "delete decisions",
      "ack orders-stock-reserved",
    ],
    except: new RegExp(`^(?!${following})`),
    prepare: sold,
  },
  {
    name: "reject",
    service: "orders",
    has: [
      "insert decisions",
      "update orders",
      "publish OrderRejected",
      "delete decisions",
      "ack orders-stock-rejected",
    ],
    except: new RegExp(`^(?!${following})`),
    prepare: soldOut,
  },
  {
    name: "reserve",
    service: "inventory",
    has: ["insert ledger", "update products", "publish StockReserved", "ack inventory-order-placed"],
    prepare: sold,
  },
  {
    name: "refuse",
    service: "inventory",
    has: ["insert ledger", "publish StockRejected", "ack inventory-order-placed"],
    prepare: soldOut,
  },
  {
    name: "cancel",
    service: "orders",
    has: ["findAndModify orders", "publish OrderCancelled"],
    prepare: cancelling,
  },
  {
    name: "release",
    service: "inventory",
    has: ["insert ledger", "update products", "publish StockReleased", "ack inventory-order-cancelled"],
    prepare: cancelling,
  },
  { name: "ship", service: "orders", has: ["findAndModify orders", "publish OrderShipped"], prepare: shipping },
  {
    name: "shipped",
    service: "inventory",
    has: ["insert ledger", "update products", "publish StockShipped", "ack inventory-order-shipped"],
    prepare: shipping,
  },
  {
    name: "returned",
    service: "inventory",
    has: ["insert ledger", "update products", "publish StockReturned", "ack inventory-order-returned"],
    prepare: returning,
  },
  { name: "adjust", service: "inventory", has: ["insert ledger", "update products"], prepare: adjusting },
  {
    name: "add a product",
    service: "inventory",
    has: ["insert products", "insert ledger", "commitTransaction"],
    prepare: stocking,
  },
  {
    name: "place together",
    service: "orders",
    has: ["insert orders", "publish OrderPlaced"],
    // Confirming; and reading, as in placing one.
    except: new RegExp(`^(${following}|find)`),
    together: { reads: "find orders", count: 3 },
    prepare: placingTogether,
  },
  {
    name: "cancel before the decision",
    service: "orders",
    has: ["findAndModify orders", "publish OrderCancelled"],
    // The sweeper publishes the order itself.
    except: /^publish OrderPlaced|\(2\)$/,
    prepare: cancellingUndecided,
  },
  {
    name: "void",
    service: "inventory",
    has: ["insert ledger", "ack inventory-order-cancelled", "ack inventory-order-placed"],
    // Its later reads find the same state as the next step.
    except: /^find (ledger .|products)/,
    prepare: placedTooLate,
  },
  {
    name: "ask for the decision",
    service: "orders",
    has: ["look for late orders", "insert decisions", "update orders", "publish OrderConfirmed"],
    // Consuming it as well, and looking for more.
    except: /^(ack|sweep|.* \(\d+\)$)/,
    startsDead: true,
    prepare: leavingUnanswered,
  },
  {
    name: "complete a decision",
    service: "orders",
    has: ["update orders", "find changed orders", "publish OrderConfirmed", "delete decisions"],
    // Looking for more.
    except: /^(find orders|sweep|look)/,
    startsDead: true,
    prepare: leavingDecided,
  },
  {
    name: "cancel the undecided",
    service: "orders",
    has: ["look for late orders", "findAndModify orders", "publish OrderCancelled"],
    // Looking for more; and what is as in any cancellation.
    except: /^(find orders|clear|sweep|look for late orders .)/,
    startsDead: true,
    prepare: leavingUndecided,
  },
  {
    name: "relay of orders",
    service: "orders",
    has: ["sweep orders", "publish OrderPlaced", "clear outbox of orders"],
    // Confirming, and looking for more.
    except: new RegExp(`^(${following}|look|sweep orders .)`),
    startsDead: true,
    prepare: leavingOrders,
  },
  {
    name: "relay of the ledger",
    service: "inventory",
    has: ["sweep ledger", "update products", "clear outbox of ledger"],
    except: /^sweep ledger ./,
    startsDead: true,
    prepare: leavingEntries,
  },
];

interface LeaseRow {
  readonly _id: string;
  readonly holder: string;
  readonly expire_time: Date;
}
interface OrderRow {
  readonly _id: string;
  readonly history: readonly { readonly status: string }[];
}
interface EntryRow {
  readonly kind: string;
  readonly decisions: readonly { readonly order_id: string; readonly outcome: string }[];
  readonly closings: readonly { readonly order_id: string; readonly outcome: string }[];
}
interface ProductRow {
  readonly _id: string;
  readonly balance: { readonly on_hand: number; readonly reserved: number };
}

/** Reads the complete state of a journey; `available` from the public API, unless the service must not be called. */
export async function observe(shop: CrashShop, name: string, { asPublic = true } = {}): Promise<Outcome> {
  const orders = shop.mongo.db("orders").collection<OrderRow>("orders");
  const inventory = shop.mongo.db("inventory");
  const mine = new RegExp(`^${name}`);
  const [onTheirWay, placed, products, deadLetters] = await Promise.all([
    countOnTheirWay(shop),
    orders.find({ "request.id": mine }).sort({ _id: 1 }).toArray(),
    inventory.collection<ProductRow>("products").find({ sku: mine }).sort({ sku: 1 }).toArray(),
    shop.jetstream.streams.info("dead-letters"),
  ]);
  const orderIds = placed.map(({ _id }) => _id);
  const entries = await inventory
    .collection<EntryRow>("ledger")
    .find({
      $or: [
        { "moves.product_id": { $in: products.map(({ _id }) => _id) } },
        { "decisions.order_id": { $in: orderIds } },
        { "closings.order_id": { $in: orderIds } },
      ],
    })
    .sort({ _id: 1 })
    .toArray();
  return {
    orders: placed.map(({ history }) => history.map(({ status }) => status)),
    products: await Promise.all(
      products.map(async ({ _id, balance }) => ({
        onHand: balance.on_hand,
        reserved: balance.reserved,
        available: asPublic
          ? (await shop.inventory.getProductByID({ productId: _id })).product!.stock
          : balance.on_hand - balance.reserved,
      })),
    ),
    movements: entries.flatMap(({ kind, decisions, closings }) => {
      const steps = [...decisions, ...closings].filter(({ order_id }) => orderIds.includes(order_id));
      return steps.length === 0 ? [kind] : steps.map((step) => step.outcome);
    }),
    onTheirWay,
    deadLetters: deadLetters.state.messages,
  };
}

/**
 * Compares the stream's events of a journey's orders, from its message `firstSeq`, with their histories. An event may have
 * been published twice.
 */
export async function expectPublished(
  shop: CrashShop,
  { name, losesPlaced = false }: Journey,
  firstSeq: number,
): Promise<void> {
  const orders = shop.mongo.db("orders").collection<OrderRow>("orders");
  const placed = await orders.find({ "request.id": new RegExp(`^${name}`) }).toArray();
  const changes = placed.flatMap(({ _id, history }) => history.map(({ status }) => `${_id} ${status.toUpperCase()}`));
  const happened = changes.filter((change) => !(losesPlaced && change.endsWith(" PENDING")));
  const ids = new Set(placed.map(({ _id }) => _id));
  const published = (await eventsOfOrders(shop.nats, firstSeq)).filter(({ orderId }) => ids.has(orderId));
  expect(new Set(published.map(({ orderId, status }) => `${orderId} ${status}`))).toEqual(new Set(happened));
}

async function countOnTheirWay({ mongo, jetstream }: CrashShop): Promise<number> {
  const unheard = async (stream: string) => {
    const consumers = await jetstream.consumers.list(stream).next();
    return consumers
      .filter(({ config }) => config.durable_name !== undefined)
      .reduce((sum, { num_pending, num_ack_pending }) => sum + num_pending + num_ack_pending, 0);
  };
  const unpublished = (db: string, collection: string, filter: object = { "outbox.0": { $exists: true } }) =>
    mongo.db(db).collection(collection).countDocuments(filter);
  const counts = await Promise.all([
    unpublished("orders", "orders"),
    unpublished("orders", "decisions", {}),
    unpublished("inventory", "ledger"),
    unheard("orders"),
    unheard("inventory"),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}
