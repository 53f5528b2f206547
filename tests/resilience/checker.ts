// Independent of the product's code: the rules are written again here, from the guarantees, so that a bug in the product
// is not repeated.
import { acceptedIds, type History, type Line, type OrderRequest } from "./record.ts";

/** The state of the shop after a run: from its public API, and the ledger from the database. */
export interface Observed {
  readonly orders: readonly ObservedOrder[];
  readonly products: readonly ObservedProduct[];
  readonly ledger: readonly LedgerEntry[];
  /** The changes of orders' statuses in the stream. */
  readonly publishedChanges: readonly { readonly orderId: string; readonly status: string }[];
  /** The number of documents with pending events, by collection. */
  readonly outboxes: Readonly<Record<string, number>>;
}

export interface ObservedOrder {
  readonly orderId: string;
  readonly userId: string;
  /** Without its prefix: "CONFIRMED". */
  readonly status: string;
  readonly lines: readonly Line[];
  /** All of its statuses, from its document. */
  readonly path: readonly string[];
  /** The id of the request that placed it, from its document. */
  readonly key?: string | undefined;
}

export interface ObservedProduct {
  readonly productId: string;
  /** Available units, from the public catalogue. */
  readonly available: number;
  /** The projection beside the ledger. */
  readonly onHand: number;
  readonly reserved: number;
  /** As ListStockMovements lists them, in its order. */
  readonly movements: readonly { readonly onHandDelta: number; readonly reservedDelta: number }[];
}

/** The parts of a ledger document that the checker uses. */
export interface LedgerEntry {
  readonly moves: readonly {
    readonly product_id: string;
    readonly sequence: number;
    readonly on_hand_delta: number;
    readonly reserved_delta: number;
  }[];
  readonly decisions: readonly {
    readonly order_id: string;
    readonly outcome: string;
    readonly lines: readonly { readonly product_id: string; readonly quantity: number }[];
  }[];
  readonly closings: readonly { readonly order_id: string; readonly outcome: string }[];
}

/** The kinds of violations. */
export type ProblemKind =
  | "lost"
  | "stuck"
  | "doubled"
  | "changed"
  | "move lost"
  | "oversold"
  | "ledger"
  | "balance"
  | "decision"
  | "orphan"
  | "outbox"
  | "untold"
  | "untrue";

export interface Problem {
  readonly kind: ProblemKind;
  /** The order, product or collection it is about. */
  readonly about: string;
  readonly what: string;
}

/** Compares the answers that clients got with the state of the shop. An empty result means that guarantees 1 to 3 held. */
export function check(history: History, observed: Observed): Problem[] {
  return [
    ...checkAccepted(history, observed),
    ...checkOncePerRequest(history, observed),
    ...checkMoves(history, observed),
    ...checkStock(history, observed),
    ...checkDecisions(observed),
    ...checkPublished(observed),
    ...Object.entries(observed.outboxes)
      .filter(([, left]) => left > 0)
      .map(
        ([about, left]): Problem => ({ kind: "outbox", about, what: `${left} documents still have pending events` }),
      ),
  ];
}

function checkAccepted(history: History, { orders }: Observed): Problem[] {
  const problems: Problem[] = [];
  const known = new Set(orders.map(({ orderId }) => orderId));
  for (const orderId of acceptedIds(history)) {
    if (!known.has(orderId)) problems.push({ kind: "lost", about: orderId, what: "was accepted and is missing" });
  }
  for (const { orderId, status } of orders) {
    if (!(status in held)) problems.push({ kind: "stuck", about: orderId, what: `is still ${status}` });
  }
  return problems;
}

/** One request, one order: by the answers, by the request ids of the orders, and by counting. */
function checkOncePerRequest({ requests }: History, { orders }: Observed): Problem[] {
  const problems: Problem[] = [];
  const byId = new Map(orders.map((order) => [order.orderId, order]));
  const claimed = new Set<string>();
  for (const request of requests) {
    const ids = acceptedIds({ requests: [request] });
    const name = `${request.userId}, key ${request.key}`;
    if (ids.size > 1) problems.push({ kind: "doubled", about: name, what: `became ${[...ids].join(" and ")}` });
    for (const orderId of ids) {
      if (claimed.has(orderId)) {
        problems.push({ kind: "changed", about: orderId, what: "was the answer to two different requests" });
      }
      claimed.add(orderId);
      const order = byId.get(orderId);
      if (order !== undefined && (order.userId !== request.userId || shapeOf(order.lines) !== shapeOf(request.lines))) {
        problems.push({ kind: "changed", about: orderId, what: "differs from its request" });
      }
    }
  }

  for (const [name, sameName] of groupBy(
    orders.filter(({ key }) => key !== undefined),
    ({ userId, key }) => `${userId}, key ${key}`,
  )) {
    if (sameName.length > 1) problems.push({ kind: "doubled", about: name, what: `names ${sameName.length} orders` });
  }

  // An order that no answer names is correct only as the result of a request without a certain answer: one order each.
  const inDoubt = groupBy(requests.filter(mayHaveBecomeAnOrder), ({ userId, lines }) => `${userId} ${shapeOf(lines)}`);
  for (const order of orders) {
    if (claimed.has(order.orderId)) continue;
    const [explained] = inDoubt.get(`${order.userId} ${shapeOf(order.lines)}`)?.splice(0, 1) ?? [];
    if (explained === undefined) {
      problems.push({
        kind: "doubled",
        about: order.orderId,
        what: "no unanswered request remains that could have placed it",
      });
    }
  }
  return problems;
}

function mayHaveBecomeAnOrder({ answers }: OrderRequest): boolean {
  const kinds = answers.map(({ kind }) => kind);
  return !kinds.includes("accepted") && (kinds.length === 0 || kinds.includes("unknown"));
}

function checkMoves({ moves }: History, { orders }: Observed): Problem[] {
  const status = new Map(orders.map((order) => [order.orderId, order.status]));
  return moves
    .filter(({ orderId, to }) => status.get(orderId) !== to)
    .map(({ orderId, to }) => ({
      kind: "move lost",
      about: orderId,
      what: `was answered as ${to} and is ${status.get(orderId) ?? "missing"}`,
    }));
}

function checkStock(history: History, { products, ledger, orders }: Observed): Problem[] {
  const problems: Problem[] = [];
  const moves = groupBy(
    ledger.flatMap((entry) => entry.moves),
    (move) => move.product_id,
  );
  const owed = reservedByOrders(ledger, orders);
  const stocked = new Map(history.products.map((product) => [product.productId, product.stock]));
  const observed = new Map(products.map((product) => [product.productId, product]));

  for (const [productId, stock] of stocked) {
    const say = (kind: ProblemKind, what: string) => problems.push({ kind, about: productId, what });
    const product = observed.get(productId);
    if (product === undefined) {
      say("lost", "the product is missing");
      continue;
    }
    const inOrder = (moves.get(productId) ?? []).toSorted((a, b) => a.sequence - b.sequence);
    let [onHand, reserved] = [0, 0];
    for (const [index, move] of inOrder.entries()) {
      if (move.sequence !== index + 1) say("ledger", `position ${index + 1} has movement ${move.sequence}`);
      onHand += move.on_hand_delta;
      reserved += move.reserved_delta;
      if (onHand < 0 || reserved < 0 || reserved > onHand) {
        say("oversold", `on_hand ${onHand}, reserved ${reserved} after movement ${move.sequence}`);
      }
    }
    if (inOrder[0]?.on_hand_delta !== stock) say("ledger", `does not begin with the ${stock} it was added with`);
    const fromLedger = inOrder.map(({ on_hand_delta, reserved_delta }) => `${on_hand_delta}/${reserved_delta}`).join();
    if (product.movements.map((move) => `${move.onHandDelta}/${move.reservedDelta}`).join() !== fromLedger) {
      say("ledger", "ListStockMovements differs from the ledger");
    }
    if (product.onHand !== onHand || product.reserved !== reserved) {
      const balance = `on_hand ${product.onHand}, reserved ${product.reserved}`;
      say("balance", `${balance}, and the movements add up to ${onHand} and ${reserved}`);
    }
    if (product.available < 0) say("oversold", `the catalogue says ${product.available}`);
    if (product.available !== onHand - reserved) {
      say("balance", `the catalogue says ${product.available} instead of ${onHand - reserved}`);
    }
    if (reserved !== (owed.get(productId) ?? 0)) {
      say("balance", `reserved ${reserved}, but open orders hold ${owed.get(productId) ?? 0}`);
    }
    const { least, most } = expectedOnHand(history, productId, stock, ledger);
    if (onHand < least || onHand > most) say("balance", `on_hand ${onHand} instead of ${least} to ${most}`);
  }
  return problems;
}

/** Units reserved by orders that are not closed, by product. */
function reservedByOrders(ledger: readonly LedgerEntry[], orders: readonly ObservedOrder[]): Map<string, number> {
  const holding = new Set(orders.filter(({ status }) => held[status] === "reserved").map(({ orderId }) => orderId));
  const sums = new Map<string, number>();
  for (const { order_id, outcome, lines } of ledger.flatMap((entry) => entry.decisions)) {
    if (outcome !== "reserved" || !holding.has(order_id)) continue;
    for (const { product_id, quantity } of lines) sums.set(product_id, (sums.get(product_id) ?? 0) + quantity);
  }
  return sums;
}

/** Received less shipped units; a range, if the answer to an adjustment was lost. */
function expectedOnHand(
  { adjustments }: History,
  productId: string,
  stock: number,
  ledger: readonly LedgerEntry[],
): { least: number; most: number } {
  const decided = new Map(
    ledger.flatMap((entry) => entry.decisions).map((decision) => [decision.order_id, decision.lines]),
  );
  let least = stock;
  let most = stock;
  for (const { order_id, outcome } of ledger.flatMap((entry) => entry.closings)) {
    const sign = outcome === "shipped" ? -1 : outcome === "returned" ? 1 : 0;
    for (const { product_id, quantity } of decided.get(order_id) ?? []) {
      if (product_id !== productId) continue;
      least += sign * quantity;
      most += sign * quantity;
    }
  }
  for (const { productId: adjusted, delta, outcome } of adjustments) {
    if (adjusted !== productId || outcome === "refused") continue;
    if (outcome === "done" || delta < 0) least += delta;
    if (outcome === "done" || delta > 0) most += delta;
  }
  return { least, most };
}

/** The ledger's expected steps of an order by its final status: its decision and its closings. */
const endings: Readonly<Record<string, readonly string[]>> = {
  CONFIRMED: ["reserved"],
  REJECTED: ["refused"],
  SHIPPED: ["reserved shipped"],
  DELIVERED: ["reserved shipped"],
  RETURNED: ["reserved shipped returned"],
  CANCELLED: ["void", "refused", "reserved released"],
};

/** Final statuses, and whether they have stock reserved. */
const held: Readonly<Record<string, "reserved" | "nothing">> = {
  CONFIRMED: "reserved",
  REJECTED: "nothing",
  SHIPPED: "nothing",
  DELIVERED: "nothing",
  RETURNED: "nothing",
  CANCELLED: "nothing",
};

function checkDecisions({ orders, ledger }: Observed): Problem[] {
  const problems: Problem[] = [];
  const decisions = groupBy(
    ledger.flatMap((entry) => entry.decisions),
    (decision) => decision.order_id,
  );
  const closings = groupBy(
    ledger.flatMap((entry) => entry.closings),
    (closing) => closing.order_id,
  );
  for (const order of orders) {
    const own = decisions.get(order.orderId) ?? [];
    const steps = [...own, ...(closings.get(order.orderId) ?? [])].map(({ outcome }) => outcome);
    const expected = endings[order.status];
    if (expected !== undefined && !expected.includes(inOrderOfSteps(steps))) {
      const found = steps.join(" ") || "nothing";
      problems.push({
        kind: "decision",
        about: order.orderId,
        what: `is ${order.status}, and the ledger has ${found}`,
      });
    }
    const lines = own[0]?.lines.map(({ product_id, quantity }) => ({ productId: product_id, quantity })) ?? [];
    if (own[0]?.outcome === "reserved" && shapeOf(lines) !== shapeOf(order.lines)) {
      problems.push({ kind: "decision", about: order.orderId, what: "other stock is reserved than was ordered" });
    }
  }
  const known = new Set(orders.map(({ orderId }) => orderId));
  for (const orderId of new Set([...decisions.keys(), ...closings.keys()])) {
    if (!known.has(orderId))
      problems.push({ kind: "orphan", about: orderId, what: "is in the ledger and has no order" });
  }
  return problems;
}

/** Every change of an order's status was published, and no other event of it. */
function checkPublished({ orders, publishedChanges }: Observed): Problem[] {
  const happened = new Set(orders.flatMap(({ orderId, path }) => path.map((status) => `${orderId} ${status}`)));
  const published = new Set(publishedChanges.map(({ orderId, status }) => `${orderId} ${status}`));
  const about = (change: string) => change.split(" ")[0]!;
  return [
    ...[...happened.difference(published)].map(
      (change): Problem => ({ kind: "untold", about: about(change), what: `no event for ${change}` }),
    ),
    ...[...published.difference(happened)].map(
      (change): Problem => ({
        kind: "untrue",
        about: about(change),
        what: `an event for ${change}, which did not happen`,
      }),
    ),
  ];
}

function inOrderOfSteps(steps: readonly string[]): string {
  const rank = ["reserved", "refused", "void", "released", "shipped", "returned"];
  return steps.toSorted((a, b) => rank.indexOf(a) - rank.indexOf(b)).join(" ");
}

/** Quantities per product, sorted. */
function shapeOf(lines: readonly Line[]): string {
  const sums = new Map<string, number>();
  for (const { productId, quantity } of lines) sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  return [...sums]
    .map(([productId, quantity]) => `${productId} ${quantity}`)
    .toSorted()
    .join(", ");
}

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}
