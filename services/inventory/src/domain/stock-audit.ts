import { type Closing, closingDeltas, type Decision, type EntryPlan, type Move } from "./ledger.ts";
import type { Balance } from "./product.ts";

/** What must be true of the stock. */
export const stockInvariants = [
  /** A product's movements are numbered from 1 without a gap. */
  "STOCK_SEQUENCE_GAP",
  /** After every movement on_hand, reserved and what is left between them are at least 0. */
  "STOCK_NEGATIVE",
  /** The balance of a product is the sum of its movements up to the balance's sequence. */
  "STOCK_BALANCE_WRONG",
  /** The balance of a product reaches the last movement soon. */
  "STOCK_BALANCE_BEHIND",
  /** Whatever moves is a product. */
  "STOCK_PRODUCT_MISSING",
  /** An entry claims exactly the places of its moves and steps: so none is taken twice, and an order is closed once. */
  "LEDGER_KEYS_WRONG",
  /** An entry moves exactly what its decisions set aside and what its closings give back: so reserved is what open orders hold. */
  "LEDGER_MOVES_WRONG",
  /** What is closed was reserved, and what returns was shipped. */
  "LEDGER_CLOSING_UNFOUNDED",
  /** Events leave the outbox within a minute. */
  "LEDGER_EVENT_UNPUBLISHED",
] as const;
export type StockInvariant = (typeof stockInvariants)[number];

/** A place where an invariant is broken. */
export interface StockFinding {
  readonly invariant: StockInvariant;
  /** The product, or the entry of the ledger. */
  readonly subject: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly repairable: boolean;
}

/** A product's movements added up as far as they were read. */
export interface Walk {
  readonly onHand: number;
  readonly reserved: number;
  /** The last place that was looked at. */
  readonly sequence: number;
  /** The first place that nobody took. What is after it is not added up. */
  readonly gapAt?: number;
  /** A place after that was taken. */
  readonly takenAfterGap?: number;
  readonly negative?: { readonly sequence: number; readonly onHand: number; readonly reserved: number };
}

export const walkStart: Walk = { onHand: 0, reserved: 0, sequence: 0 };

/** Goes on from `walk` to `until`; `moves` are those of the product in between. */
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

/** Balances that the ledger says a product has; undefined when it has lost a part of its story. */
export function derivedBalance({ onHand, reserved, sequence, gapAt, takenAfterGap }: Walk): Balance | undefined {
  if (takenAfterGap !== undefined) return undefined;
  return { onHand, reserved, sequence: gapAt === undefined ? sequence : gapAt - 1 };
}

/** Compares a product's balance with its movements, which were walked up to the balance's sequence. */
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

/** An entry of the ledger, as it lies there. */
export interface WrittenEntry extends EntryPlan {
  readonly entryId: string;
  readonly keys: readonly string[];
}

/** What became of an order's stock. */
export interface Reservation {
  readonly decision: Decision;
  readonly closings: ReadonlySet<Closing["outcome"]>;
}

/** Checks an entry by itself and against what was decided for the orders that it closes. */
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
    find("LEDGER_KEYS_WRONG", "the entry does not claim what it moves and decides", { keys: some(differing) });
  }

  const unfounded = entry.closings.filter(({ orderId, outcome }) => {
    const reservation = reservations.get(orderId);
    const isHeld = reservation?.decision.outcome === "reserved";
    return !isHeld || (outcome === "returned" && !reservation.closings.has("shipped"));
  });
  if (unfounded.length > 0) {
    const orders = some(unfounded.map(({ orderId }) => orderId));
    find("LEDGER_CLOSING_UNFOUNDED", "the entry closes what was not set aside", { orders });
  }

  const deltas = expectedDeltas(entry, reservations);
  const wrong = entry.moves.filter(({ productId, onHandDelta, reservedDelta }) => {
    const owed = deltas.get(productId) ?? { onHand: 0, reserved: 0 };
    deltas.delete(productId);
    // What comes in, or is corrected, has no order that says how much.
    const isFree = entry.decisions.length === 0 && entry.closings.length === 0;
    return reservedDelta !== owed.reserved || (!isFree && onHandDelta !== owed.onHand);
  });
  const unmoved = [...deltas].filter(([, { onHand, reserved }]) => onHand !== 0 || reserved !== 0);
  if (wrong.length + unmoved.length > 0) {
    const products = some([...wrong.map(({ productId }) => productId), ...unmoved.map(([productId]) => productId)]);
    find("LEDGER_MOVES_WRONG", "what the entry moves is not what it decides and closes", { products });
  }

  const missing = entry.moves.map(({ productId }) => productId).filter((productId) => !knownProducts.has(productId));
  if (missing.length > 0) {
    find("STOCK_PRODUCT_MISSING", "the entry moves what is no product", { products: some(missing) });
  }
  return findings;
}

/** The places of an entry's moves and steps, written down here once more: a mistake in the writer is not repeated. */
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

/** Enough of a list to begin with. */
function some(values: readonly string[]): string {
  return values.slice(0, 10).join(" ");
}
