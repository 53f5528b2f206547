import { available, type Balance } from "./product.ts";

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** An undecided order. */
export interface WaitingOrder {
  readonly orderId: string;
  readonly lines: readonly Line[];
}

/** The final decision on an order. `void`: it was cancelled before it was decided. */
export interface Decision {
  readonly orderId: string;
  readonly outcome: "reserved" | "refused" | "void";
  /** The reserved lines; empty unless the outcome is `reserved`. */
  readonly lines: readonly Line[];
  /** Why it was refused, for the customer to read. */
  readonly reason?: string;
}

/** A step of a reservation after its decision: released or shipped; and returned, after it was shipped. */
export interface Closing {
  readonly orderId: string;
  readonly outcome: "released" | "shipped" | "returned";
  /** The products that it moves; absent when read from the database. */
  readonly productIds?: readonly string[];
}

/** One product's change in an entry. `sequence` is its number among the product's movements, from 1. */
export interface Move {
  readonly productId: string;
  readonly sequence: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
}

export type EntryKind = "received" | "adjusted" | "decided" | "released" | "shipped" | "returned";

/** A move with the facts of its entry. */
export interface Movement {
  readonly kind: EntryKind;
  readonly move: Move;
  readonly orderIds: readonly string[];
  readonly actor: string;
  readonly reason: string;
  readonly time: Date;
}

/** The content of an entry: at most one move per product, and one step per order. */
export interface EntryPlan {
  readonly moves: readonly Move[];
  readonly decisions: readonly Decision[];
  readonly closings: readonly Closing[];
}

export interface StockedProduct extends Balance {
  readonly name: string;
}

/** Products by id. A product that is missing can't be sold. */
export type Balances = ReadonlyMap<string, StockedProduct>;

/**
 * Decides orders in their sequence, all lines of each or none, against the stock that the orders before it left. A refusal claims the
 * next sequence number of the product that ran out, with a move of zero, so that a stale balance makes the entry conflict instead of
 * refusing an order wrongly.
 */
export function decide(balances: Balances, orders: readonly WaitingOrder[]): EntryPlan {
  const reserving = new Map<string, number>();
  const decisions = orders.map((order): Decision => {
    const lines = sumByProduct(order.lines);
    for (const { productId, quantity } of lines) {
      const balance = balances.get(productId);
      if (balance === undefined) return refused(order, "a product of this order is no longer sold");
      const left = available(balance) - (reserving.get(productId) ?? 0);
      if (quantity > left) {
        reserving.set(productId, reserving.get(productId) ?? 0);
        return refused(order, `${balance.name}: ${left} left, ${quantity} wanted`);
      }
    }
    for (const { productId, quantity } of lines) {
      reserving.set(productId, (reserving.get(productId) ?? 0) + quantity);
    }
    return { orderId: order.orderId, outcome: "reserved", lines };
  });
  const moves = [...reserving].map(([productId, quantity]) => nextMove(balances, productId, 0, quantity));
  return { moves, decisions, closings: [] };
}

/** The change of a balance for each closed unit. */
export const closingDeltas = {
  released: { onHand: 0, reserved: -1 },
  shipped: { onHand: -1, reserved: -1 },
  returned: { onHand: 1, reserved: 0 },
} as const;

/** Closes reservations, with the quantities that were decided. Skips decisions that reserved nothing. */
export function close(balances: Balances, decisions: readonly Decision[], outcome: Closing["outcome"]): EntryPlan {
  const held = decisions.filter((decision) => decision.outcome === "reserved");
  const { onHand, reserved } = closingDeltas[outcome];
  const moves = sumByProduct(held.flatMap((decision) => decision.lines)).map(({ productId, quantity }) =>
    nextMove(balances, productId, onHand * quantity, reserved * quantity),
  );
  const closings = held.map(({ orderId, lines }) => {
    return { orderId, outcome, productIds: lines.map(({ productId }) => productId) };
  });
  return { moves, decisions: [], closings };
}

export const maxOnHand = 1_000_000_000;

/** Corrects the units on hand; undefined when they would be fewer than those reserved, or more than {@link maxOnHand}. */
export function adjust(balances: Balances, productId: string, onHandDelta: number): EntryPlan | undefined {
  const balance = balances.get(productId);
  if (balance === undefined) return undefined;
  const onHand = balance.onHand + onHandDelta;
  if (onHand < balance.reserved || onHand > maxOnHand) return undefined;
  return { moves: [nextMove(balances, productId, onHandDelta, 0)], decisions: [], closings: [] };
}

/** Decides orders as void, so that an OrderPlaced that arrives later reserves nothing. */
export function voidOrders(orderIds: readonly string[]): EntryPlan {
  return { moves: [], decisions: orderIds.map((orderId) => ({ orderId, outcome: "void", lines: [] })), closings: [] };
}

/** The orders for which an entry moves each product, by product id. */
export function ordersByProduct({ moves, decisions, closings }: EntryPlan): Map<string, string[]> {
  const served = new Map(moves.map(({ productId }) => [productId, [] as string[]]));
  for (const { orderId, lines } of decisions) for (const { productId } of lines) served.get(productId)?.push(orderId);
  for (const { orderId, productIds = [] } of closings)
    for (const productId of productIds) served.get(productId)?.push(orderId);
  return served;
}

/** Lines of an entry, which keeps it well below the largest size of a document. */
const maxLines = 1_000;

/** Splits orders into parts of which each fits into one entry. */
export function splitIntoEntries<Order extends { readonly lines: readonly Line[] }>(
  orders: readonly Order[],
): Order[][] {
  const entries: Order[][] = [];
  let lines = 0;
  for (const order of orders) {
    if (entries.length === 0 || lines + order.lines.length > maxLines) {
      entries.push([]);
      lines = 0;
    }
    entries.at(-1)!.push(order);
    lines += order.lines.length;
  }
  return entries;
}

/** Joins lines of the same product. Throws a RangeError unless every quantity is a positive integer: a negative one would add stock. */
export function sumByProduct(lines: readonly Line[]): Line[] {
  const sums = new Map<string, number>();
  for (const { productId, quantity } of lines) {
    if (!(Number.isInteger(quantity) && quantity > 0))
      throw new RangeError(`${quantity} of ${productId} is no quantity`);
    sums.set(productId, (sums.get(productId) ?? 0) + quantity);
  }
  return [...sums].map(([productId, quantity]) => ({ productId, quantity }));
}

function refused(order: WaitingOrder, reason: string): Decision {
  return { orderId: order.orderId, outcome: "refused", lines: [], reason };
}

function nextMove(balances: Balances, productId: string, onHandDelta: number, reservedDelta: number): Move {
  const balance = balances.get(productId);
  if (balance === undefined) throw new Error(`the balance of ${productId} is not known`);
  return { productId, sequence: balance.sequence + 1, onHandDelta, reservedDelta };
}
