import { isMove, type Order, type OrderStatus, unitsByProduct } from "./order.ts";

/** What must be true of the orders. */
export const orderInvariants = [
  /** An order's moves follow the table, from PENDING to its status, and its version counts them. */
  "ORDER_MOVES_WRONG",
  /** The total is the sum of the lines. */
  "ORDER_TOTAL_WRONG",
  /** No order waits longer for the stock than its deadline allows. */
  "ORDER_STUCK_PENDING",
  /** Stock was set aside for every order that was confirmed. */
  "ORDER_UNRESERVED",
  /** What was set aside for an order is what was ordered. */
  "ORDER_STOCK_DIFFERS",
  /** What was set aside for an order that has ended is closed soon. */
  "ORDER_RESERVATION_OPEN",
  /** What became of an order's stock is what became of the order. */
  "ORDER_STOCK_CONTRADICTS",
  /** Stock is set aside for orders only. */
  "RESERVATION_WITHOUT_ORDER",
  /** Events leave the outbox within a minute. */
  "ORDER_EVENT_UNPUBLISHED",
] as const;
export type OrderInvariant = (typeof orderInvariants)[number];

/** A place where an invariant is broken. */
export interface OrderFinding {
  readonly invariant: OrderInvariant;
  readonly subject: string;
  readonly message: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly repairable: boolean;
}

/** An order with the statuses that it went through. */
export interface AuditedOrder extends Order {
  readonly path: readonly OrderStatus[];
}

/** What the stock says of an order. */
export interface Reservation {
  readonly orderId: string;
  readonly outcome: "reserved" | "refused" | "void";
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  readonly released: boolean;
  readonly shipped: boolean;
  readonly returned: boolean;
}

/** What the stock still has to do for an order that has ended: the event that tells it so is to be repeated. */
export type MissingStep = "cancelled" | "shipped" | "returned";

/** Moves and sums, which never need anybody else. */
export function checkOrder(order: AuditedOrder, pendingBefore: Date): OrderFinding[] {
  const findings: OrderFinding[] = [];
  const { orderId, path, status, version, items, total } = order;
  const follows = path.every((to, index) => (index === 0 ? to === "pending" : isMove(path[index - 1]!, to)));
  if (!follows || path.at(-1) !== status || path.length !== version) {
    const facts = { path: path.join(" "), status, version: String(version) };
    findings.push(broken("ORDER_MOVES_WRONG", orderId, "its moves do not lead to where it is", facts));
  }
  const sum = items.reduce((left, { unitPrice, quantity }) => left + unitPrice.minorUnits * BigInt(quantity), 0n);
  if (sum !== total.minorUnits || items.some(({ unitPrice }) => unitPrice.currencyCode !== total.currencyCode)) {
    const facts = { total: String(total.minorUnits), lines: String(sum) };
    findings.push(broken("ORDER_TOTAL_WRONG", orderId, "its total is not the sum of its lines", facts));
  }
  if (status === "pending" && order.createTime < pendingBefore) {
    const facts = { create_time: order.createTime.toISOString() };
    findings.push(broken("ORDER_STUCK_PENDING", orderId, "it is pending beyond its deadline", facts, true));
  }
  return findings;
}

/** Compares an order that has not moved for a while with what the stock did for it. */
export function checkReservation(order: AuditedOrder, reservation: Reservation | undefined): OrderFinding[] {
  const { orderId, status } = order;
  if (status === "pending") return [];
  const facts = { status, stock: describe(reservation) };
  const isHolding = status !== "rejected" && status !== "cancelled";
  if (reservation?.outcome !== "reserved") {
    if (!isHolding) return [];
    // Announced once more it can still be set aside, as long as nothing was decided and nothing has left.
    const canBeDecided = reservation === undefined && status === "confirmed";
    return [broken("ORDER_UNRESERVED", orderId, "nothing was set aside for it", facts, canBeDecided)];
  }
  const findings: OrderFinding[] = [];
  if (!isSameDemand(order.items, reservation.lines)) {
    findings.push(broken("ORDER_STOCK_DIFFERS", orderId, "other stock was set aside than was ordered", facts));
  }
  const { released, shipped, returned } = reservation;
  const contradicts = isHolding
    ? released || (shipped && status === "confirmed") || (returned && status !== "returned")
    : shipped || returned;
  if (contradicts) {
    findings.push(broken("ORDER_STOCK_CONTRADICTS", orderId, "its stock went another way than it did", facts));
  } else if (missingStep(status, reservation) !== undefined) {
    findings.push(broken("ORDER_RESERVATION_OPEN", orderId, "its stock has not followed it", facts, true));
  }
  return findings;
}

/** The step that the stock has not taken; undefined when it has taken all. */
export function missingStep(
  status: OrderStatus,
  { released, shipped, returned }: Reservation,
): MissingStep | undefined {
  switch (status) {
    case "rejected":
    case "cancelled":
      return released ? undefined : "cancelled";
    case "shipped":
    case "delivered":
      return shipped ? undefined : "shipped";
    case "returned":
      return returned ? undefined : "returned";
    default:
      return undefined;
  }
}

/** Stock of an order that nobody knows; undefined when it holds none. */
export function checkStray(reservation: Reservation | undefined): OrderFinding | undefined {
  if (reservation?.outcome !== "reserved" || reservation.released) return undefined;
  const facts = { stock: describe(reservation) };
  const message = "stock was set aside for an order that is not there";
  return broken("RESERVATION_WITHOUT_ORDER", reservation.orderId, message, facts, !reservation.shipped);
}

function broken(
  invariant: OrderInvariant,
  subject: string,
  message: string,
  facts: Readonly<Record<string, string>>,
  repairable = false,
): OrderFinding {
  return { invariant, subject, message, facts, repairable };
}

function describe(reservation: Reservation | undefined): string {
  if (reservation === undefined) return "undecided";
  const steps = (["released", "shipped", "returned"] as const).filter((step) => reservation[step]);
  return [reservation.outcome, ...steps].join(" ");
}

function isSameDemand(
  ordered: readonly { readonly productId: string; readonly quantity: number }[],
  reserved: Reservation["lines"],
): boolean {
  const taken = reserved.map(({ productId, quantity }) => ({ productId, quantity: -quantity }));
  const left = unitsByProduct([...ordered, ...taken]);
  return [...left.values()].every((quantity) => quantity === 0);
}
