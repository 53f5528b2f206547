import { isTransition, type Order, type OrderStatus, unitsByProduct } from "./order.ts";

export const orderInvariants = [
  /** An order's transitions lead from PENDING to its status as the table allows, and its version counts them. */
  "ORDER_MOVES_WRONG",
  /** The total is the sum of the lines. */
  "ORDER_TOTAL_WRONG",
  /** No order is pending beyond its deadline. */
  "ORDER_STUCK_PENDING",
  /** Every confirmed order has a reservation. */
  "ORDER_UNRESERVED",
  /** A reservation has the products and quantities of its order. */
  "ORDER_STOCK_DIFFERS",
  /** The reservation of a closed order is released, shipped or returned within a minute. */
  "ORDER_RESERVATION_OPEN",
  /** A reservation is not released, shipped or returned unless its order's status says so. */
  "ORDER_STOCK_CONTRADICTS",
  /** Every reservation belongs to an order. */
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

export interface AuditedOrder extends Order {
  /** The statuses of its history, oldest first. */
  readonly path: readonly OrderStatus[];
}

/** Inventory's decision on an order, and the steps that followed. */
export interface Reservation {
  readonly orderId: string;
  readonly outcome: "reserved" | "refused" | "void";
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  readonly released: boolean;
  readonly shipped: boolean;
  readonly returned: boolean;
}

/** The status whose event inventory has not followed, and which has to be published again. */
export type MissingStep = "cancelled" | "shipped" | "returned";

/** Checks what the order alone shows: transitions, total and deadline. */
export function checkOrder(order: AuditedOrder, pendingBefore: Date): OrderFinding[] {
  const findings: OrderFinding[] = [];
  const { orderId, path, status, version, items, total } = order;
  const follows = path.every((to, index) => (index === 0 ? to === "pending" : isTransition(path[index - 1]!, to)));
  if (!follows || path.at(-1) !== status || path.length !== version) {
    const facts = { path: path.join(" "), status, version: String(version) };
    findings.push(broken("ORDER_MOVES_WRONG", orderId, "its transitions do not lead to its status and version", facts));
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

/** Compares an order with its reservation. The order must have been unchanged long enough for inventory to follow. */
export function checkReservation(order: AuditedOrder, reservation: Reservation | undefined): OrderFinding[] {
  const { orderId, status } = order;
  if (status === "pending") return [];
  const facts = { status, stock: describe(reservation) };
  const needsStock = status !== "rejected" && status !== "cancelled";
  if (reservation?.outcome !== "reserved") {
    if (!needsStock) return [];
    // Another OrderPlaced can still reserve stock if nothing was decided and nothing was shipped.
    const canBeDecided = reservation === undefined && status === "confirmed";
    return [broken("ORDER_UNRESERVED", orderId, "it has no reserved stock", facts, canBeDecided)];
  }
  const findings: OrderFinding[] = [];
  if (!isSameDemand(order.items, reservation.lines)) {
    findings.push(broken("ORDER_STOCK_DIFFERS", orderId, "the reserved stock is not what was ordered", facts));
  }
  const { released, shipped, returned } = reservation;
  const contradicts = needsStock
    ? released || (shipped && status === "confirmed") || (returned && status !== "returned")
    : shipped || returned;
  if (contradicts) {
    findings.push(broken("ORDER_STOCK_CONTRADICTS", orderId, "its reservation contradicts its status", facts));
  } else if (missingStep(status, reservation) !== undefined) {
    findings.push(
      broken("ORDER_RESERVATION_OPEN", orderId, "its reservation has not followed its status", facts, true),
    );
  }
  return findings;
}

/** The step that inventory has not taken for an order of this status; undefined when it has taken all. */
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

/** The finding for a reservation without an order; undefined when the reservation holds no stock. */
export function checkStray(reservation: Reservation | undefined): OrderFinding | undefined {
  if (reservation?.outcome !== "reserved" || reservation.released) return undefined;
  const facts = { stock: describe(reservation) };
  const message = "stock is reserved for an order that does not exist";
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
