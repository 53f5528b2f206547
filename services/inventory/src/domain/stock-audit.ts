import { type Closing, closingDeltas, type Decision, type EntryPlan, type Move } from "./ledger.ts";
import type { Balance } from "./product.ts";

export const stockInvariants = [
  /** A product's movements are numbered from 1 without a gap. */
  "STOCK_SEQUENCE_GAP",
  /** After every movement on_hand, reserved and their difference are at least 0. */
  "STOCK_NEGATIVE",
  /** The balance of a product is the sum of its movements up to the balance's sequence. */
  "STOCK_BALANCE_WRONG",
  /** The balance of a product includes its last movement within a minute. */
  "STOCK_BALANCE_BEHIND",
  /** Every moved product exists. */
  "STOCK_PRODUCT_MISSING",
  /** An entry's keys are exactly those of its moves and steps, so no sequence number is used twice and an order is closed once. */
  "LEDGER_KEYS_WRONG",
  /** An entry's moves are the sum of its decisions and closings, so `reserved` is the sum over open orders. */
  "LEDGER_MOVES_WRONG",
  /** A closing belongs to a reservation, and a return to one that was shipped. */
  "LEDGER_CLOSING_UNFOUNDED",
  /** Events leave the outbox within a minute. */
  "LEDGER_EVENT_UNPUBLISHED",
] as const;
export type StockInvariant = (typeof stockInvariants)[number];

/** A place where an invariant is broken. */
export interface StockFinding {
  readonly invariant: StockInvariant;
  /** The id of a product or of an entry. */
  readonly subject: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly repairable: boolean;
}

/** The sum of a product's movements as far as they were read. */
export interface Walk {
  readonly onHand: number;
  readonly reserved: number;
  /** The last number that was looked at. */
  readonly sequence: number;
  /** The first number without a movement. Movements after it are not added. */
  readonly gapAt?: number;
  /** A number after the gap that has a movement. */
  readonly takenAfterGap?: number;
  readonly negative?: { readonly sequence: number; readonly onHand: number; readonly reserved: number };
}

export const walkStart: Walk = { onHand: 0, reserved: 0, sequence: 0 };

/** Continues `walk` up to the number `until`, with the product's moves in between. */
export function walkOn(walk: Walk, until: number, moves: readonly Move[]): Walk {
  const bySequence = new Map(moves.map((move) => [move.sequence, move]));
  let at = walk;
  for (let sequence = walk.sequence + 1; sequence <= until; sequence++) {
    const move = bySequence.get(sequence);
    if (move === undefined) at = { ...at, sequence, gapAt: at.gapAt ?? sequence };
    else if (at.gapAt !== undefined) at = { ...at, sequence, takenAfterGap: at.takenAfterGap ?? sequence };
    else at = moved(at, move);
  }
  return at;
}

function moved(walk: Walk, { sequence, onHandDelta, reservedDelta }: Move): Walk {
  const onHand = walk.onHand + onHandDelta;
  const reserved = walk.reserved + reservedDelta;
  const isNegative = onHand < 0 || reserved < 0 || reserved > onHand;
  return {
    ...walk,
    sequence,
    onHand,
    reserved,
    ...(isNegative && walk.negative === undefined ? { negative: { sequence, onHand, reserved } } : {}),
  };
}

/** The balance that follows from the ledger; undefined when a movement is missing before the last one. */
export function derivedBalance({ onHand, reserved, sequence, gapAt, takenAfterGap }: Walk): Balance | undefined {
  if (takenAfterGap !== undefined) return undefined;
  return { onHand, reserved, sequence: gapAt === undefined ? sequence : gapAt - 1 };
}

/** Compares a product's balance with the sum of its movements up to the balance's sequence. */
export function checkBalance(productId: string, balance: Balance, walk: Walk): StockFinding[] {
  const findings: StockFinding[] = [];
  const find = (invariant: StockInvariant, message: string, facts: Record<string, number>, repairable = false) =>
    findings.push({
      invariant,
      subject: productId,
      message,
      facts: Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)])),
      repairable,
    });
  if (walk.negative !== undefined) {
    const { sequence, onHand, reserved } = walk.negative;
    find("STOCK_NEGATIVE", `${onHand} on hand and ${reserved} reserved after movement ${sequence}`, {
      sequence,
      on_hand: onHand,
      reserved,
    });
  }
  const derived = derivedBalance(walk);
  if (derived === undefined) {
    find("STOCK_SEQUENCE_GAP", `movement ${walk.gapAt} is missing`, { sequence: walk.gapAt! });
  } else if (
    derived.onHand !== balance.onHand ||
    derived.reserved !== balance.reserved ||
    derived.sequence !== balance.sequence
  ) {
    find(
      "STOCK_BALANCE_WRONG",
      "the balance is not the sum of the movements",
      {
        sequence: balance.sequence,
        on_hand: balance.onHand,
        reserved: balance.reserved,
        ledger_sequence: derived.sequence,
        ledger_on_hand: derived.onHand,
        ledger_reserved: derived.reserved,
      },
      true,
    );
  }
  return findings;
}

/** An entry of the ledger as stored. */
export interface WrittenEntry extends EntryPlan {
  readonly entryId: string;
  readonly keys: readonly string[];
}

/** The decision on an order and the steps that followed. */
export interface Reservation {
  readonly decision: Decision;
  readonly closings: ReadonlySet<Closing["outcome"]>;
}

/** Checks an entry by itself and against the decisions on the orders that it closes. */
export function checkEntry(
  entry: WrittenEntry,
  reservations: ReadonlyMap<string, Reservation>,
  knownProducts: ReadonlySet<string>,
): StockFinding[] {
  const findings: StockFinding[] = [];
  const find = (invariant: StockInvariant, message: string, facts: Readonly<Record<string, string>>) =>
    findings.push({ invariant, subject: entry.entryId, message, facts, repairable: false });

  const expected = expectedKeys(entry);
  const claimed = new Set(entry.keys.filter((key) => !key.includes(":request:")));
  const differing = [...claimed.symmetricDifference(expected)];
  if (differing.length > 0) {
    find("LEDGER_KEYS_WRONG", "the entry's keys are not those of its moves and decisions", { keys: some(differing) });
  }

  const unfounded = entry.closings.filter(({ orderId, outcome }) => {
    const reservation = reservations.get(orderId);
    const isHeld = reservation?.decision.outcome === "reserved";
    return !isHeld || (outcome === "returned" && !reservation.closings.has("shipped"));
  });
  if (unfounded.length > 0) {
    const orders = some(unfounded.map(({ orderId }) => orderId));
    find("LEDGER_CLOSING_UNFOUNDED", "the entry closes orders without a reservation", { orders });
  }

  const deltas = expectedDeltas(entry, reservations);
  const wrong = entry.moves.filter(({ productId, onHandDelta, reservedDelta }) => {
    const expected = deltas.get(productId) ?? { onHand: 0, reserved: 0 };
    deltas.delete(productId);
    // Received and adjusted stock belongs to no order, so any change of onHand is right.
    const isWithoutOrders = entry.decisions.length === 0 && entry.closings.length === 0;
    return reservedDelta !== expected.reserved || (!isWithoutOrders && onHandDelta !== expected.onHand);
  });
  const unmoved = [...deltas].filter(([, { onHand, reserved }]) => onHand !== 0 || reserved !== 0);
  if (wrong.length + unmoved.length > 0) {
    const products = some([...wrong.map(({ productId }) => productId), ...unmoved.map(([productId]) => productId)]);
    find("LEDGER_MOVES_WRONG", "the entry's moves are not the sum of its decisions and closings", { products });
  }

  const missing = entry.moves.map(({ productId }) => productId).filter((productId) => !knownProducts.has(productId));
  if (missing.length > 0) {
    find("STOCK_PRODUCT_MISSING", "the entry moves a product that does not exist", { products: some(missing) });
  }
  return findings;
}

/** The keys that an entry should have. Computed independently of the writer, so that its mistakes are found. */
function expectedKeys({ moves, decisions, closings }: EntryPlan): Set<string> {
  return new Set([
    ...moves.map(({ productId, sequence }) => `${productId}:${sequence}`),
    ...decisions.map(({ orderId }) => `${orderId}:decision`),
    ...closings.map(({ orderId, outcome }) => `${orderId}:${outcome === "returned" ? "return" : "close"}`),
  ]);
}

function expectedDeltas(
  { decisions, closings }: EntryPlan,
  reservations: ReadonlyMap<string, Reservation>,
): Map<string, { onHand: number; reserved: number }> {
  const deltas = new Map<string, { onHand: number; reserved: number }>();
  const add = (decision: Decision, onHand: number, reserved: number) => {
    for (const { productId, quantity } of decision.lines) {
      const sum = deltas.get(productId) ?? { onHand: 0, reserved: 0 };
      deltas.set(productId, { onHand: sum.onHand + onHand * quantity, reserved: sum.reserved + reserved * quantity });
    }
  };
  for (const decision of decisions) if (decision.outcome === "reserved") add(decision, 0, 1);
  for (const { orderId, outcome } of closings) {
    const decision = reservations.get(orderId)?.decision;
    const { onHand, reserved } = closingDeltas[outcome];
    if (decision?.outcome === "reserved") add(decision, onHand, reserved);
  }
  return deltas;
}

/** The first ten values. */
function some(values: readonly string[]): string {
  return values.slice(0, 10).join(" ");
}
