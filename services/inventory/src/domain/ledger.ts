import { available, type Balance } from "./product.ts";

/** So many of a product. */
export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** An order that waits to hear whether there is enough. */
export interface WaitingOrder {
  readonly orderId: string;
  readonly lines: readonly Line[];
}

/** What was decided for an order, once and for all. `void`: it was called off before it was decided. */
export interface Decision {
  readonly orderId: string;
  readonly outcome: "reserved" | "refused" | "void";
  /** What was set aside; nothing unless reserved. */
  readonly lines: readonly Line[];
  /** Why it was refused, for the shopper to read. */
  readonly reason?: string;
}

/** What became of what was set aside: free again, or gone; and, once it was gone, back again. */
export interface Closing {
  readonly orderId: string;
  readonly outcome: "released" | "shipped" | "returned";
  /** Whose stock it moves; absent from what is read back. */
  readonly productIds?: readonly string[];
}

/** One product's part in an entry. `sequence` is the place it claims among the product's movements. */
export interface Move {
  readonly productId: string;
  readonly sequence: number;
  readonly onHandDelta: number;
  readonly reservedDelta: number;
}

/** Why stock moved. */
export type EntryKind = "received" | "adjusted" | "decided" | "released" | "shipped" | "returned";

/** A movement of one product, as the ledger tells it. */
export interface Movement {
  readonly kind: EntryKind;
  readonly move: Move;
  readonly orderIds: readonly string[];
  readonly actor: string;
  readonly reason: string;
  readonly time: Date;
}

/** What an entry says: at most one move per product, at most one step per order. */
export interface EntryPlan {
  readonly moves: readonly Move[];
  readonly decisions: readonly Decision[];
  readonly closings: readonly Closing[];
}

/** The balance of a product, and what it is called. */
export interface StockedProduct extends Balance {
  readonly name: string;
}

/** Products by id; one that is missing can't be sold. */
export type Balances = ReadonlyMap<string, StockedProduct>;

/**
 * Decides waiting orders in their sequence, each all or nothing, against what those before it left. A refusal claims the
 * next place of the product it was refused on, with a move of zero, so that nobody is refused on a stale balance.
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

/** How a closing of one reserved unit changes what is on hand and what is reserved. */
export const closingDeltas = {
  released: { onHand: 0, reserved: -1 },
  shipped: { onHand: -1, reserved: -1 },
  returned: { onHand: 1, reserved: 0 },
} as const;

/** Ends reservations. Quantities come from what was decided, never from who asks. Orders that hold nothing are passed over. */
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

/** The most of a product that there can be. */
export const maxOnHand = 1_000_000_000;

/** Corrects what is on hand; undefined when it would be less than what is set aside, or more than there can be. */
export function adjust(balances: Balances, productId: string, onHandDelta: number): EntryPlan | undefined {
  const balance = balances.get(productId);
  if (balance === undefined) return undefined;
  const onHand = balance.onHand + onHandDelta;
  if (onHand < balance.reserved || onHand > maxOnHand) return undefined;
  return { moves: [nextMove(balances, productId, onHandDelta, 0)], decisions: [], closings: [] };
}

/** Calls orders off before they were decided: whoever decides them later finds that it is done. */
export function voidOrders(orderIds: readonly string[]): EntryPlan {
  return { moves: [], decisions: orderIds.map((orderId) => ({ orderId, outcome: "void", lines: [] })), closings: [] };
}

/** The orders that each product of an entry is moved for. */
export function ordersServed({ moves, decisions, closings }: EntryPlan): Map<string, string[]> {
  const served = new Map(moves.map(({ productId }) => [productId, [] as string[]]));
  for (const { orderId, lines } of decisions) for (const { productId } of lines) served.get(productId)?.push(orderId);
  for (const { orderId, productIds = [] } of closings)
    for (const productId of productIds) served.get(productId)?.push(orderId);
  return served;
}

/** An entry holds at most so many lines, so that it stays well below the size of a document. */
const maxLines = 1_000;

/** Splits orders so that each part fits into one entry. */
export function inEntries<Order extends { readonly lines: readonly Line[] }>(orders: readonly Order[]): Order[][] {
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

/** Demand per product: lines of one product are added up. Throws on what is no quantity: who takes less than one adds stock. */
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
