import type { Clock } from "@shop/core";
import type { OutboxUpkeep, StuckDocument } from "@shop/messaging";
import type { Audit, AuditPart, FindingTarget } from "@shop/runtime";
import {
  type AuditedOrder,
  checkOrder,
  checkReservation,
  checkStray,
  type OrderFinding,
  orderInvariants,
} from "../domain/order-audit.ts";
import type { DecisionStore } from "./ports/decision-store.ts";
import type { OrderAuditStore } from "./ports/order-audit-store.ts";
import type { Reservations } from "./ports/reservations.ts";

/** Inventory and the outbox have this long to follow a change before it is audited. */
const graceMs = 60_000;
const ordersPerPart = 100;
const idsPerRead = 1_000;
/** The maximum of BatchGetReservations. */
const reservationsPerCall = 200;
const maxStuck = 1_000;

/** Where a part of the audit begins. The phases run in this order. */
export type OrderAuditPosition =
  | { readonly phase: "orders"; readonly after?: string }
  | { readonly phase: "reservations"; readonly pageToken?: string }
  | { readonly phase: "outbox" };

/**
 * Compares orders with their own history and with inventory's reservations. It may run under live traffic: an order is compared with its
 * reservation only if it has not changed for a minute, and an apparent finding is confirmed by a second read.
 */
export function createOrderAudit(on: {
  readonly store: OrderAuditStore;
  readonly reservations: Reservations;
  readonly upkeep: OutboxUpkeep;
  readonly decisions: Pick<DecisionStore, "stuck">;
  readonly clock: Clock;
  readonly decisionDeadlineMs: number;
}): Audit<OrderAuditPosition> {
  const { store, reservations, upkeep, decisions, clock, decisionDeadlineMs } = on;
  const graceEnd = () => new Date(clock().getTime() - graceMs);

  async function check(orders: readonly AuditedOrder[]): Promise<OrderFinding[]> {
    const settled = orders.filter(({ status, updateTime }) => status !== "pending" && updateTime < graceEnd());
    // Reservations are read after the orders, so they have followed every change that these orders show.
    const stock = await reservations.of(settled.map(({ orderId }) => orderId));
    const pendingBefore = new Date(graceEnd().getTime() - decisionDeadlineMs);
    return [
      ...orders.flatMap((order) => checkOrder(order, pendingBefore)),
      ...settled.flatMap((order) => checkReservation(order, stock.get(order.orderId))),
    ];
  }

  /** An order that changed between the reads of order and reservation is found the first time only. */
  async function checkTwice(orders: readonly AuditedOrder[]): Promise<OrderFinding[]> {
    const candidates = await check(orders);
    if (candidates.length === 0) return [];
    const again = await check(await store.findByIds([...new Set(candidates.map(({ subject }) => subject))]));
    return again.filter((finding) => candidates.some((candidate) => isSame(candidate, finding)));
  }

  async function ordersPart({
    after,
  }: OrderAuditPosition & { phase: "orders" }): Promise<AuditPart<OrderAuditPosition>> {
    const orders = await store.list(after, ordersPerPart);
    const findings = await checkTwice(orders);
    const isLast = orders.length < ordersPerPart;
    const next: OrderAuditPosition = isLast
      ? { phase: "reservations" }
      : { phase: "orders", after: orders.at(-1)!.orderId };
    return { findings, checked: { orders: orders.length }, next };
  }

  /** An order is stored before inventory gets its event, so a reservation without an order is never just early. */
  async function reservationsPart({
    pageToken = "",
  }: OrderAuditPosition & { phase: "reservations" }): Promise<AuditPart<OrderAuditPosition>> {
    const { orderIds, next } = await reservations.list(pageToken);
    const findings: OrderFinding[] = [];
    for (const some of chunks(orderIds, idsPerRead)) findings.push(...(await checkStrays(await store.unknown(some))));
    return {
      findings,
      checked: { reservations: orderIds.length },
      next: next === undefined ? { phase: "outbox" } : { phase: "reservations", pageToken: next },
    };
  }

  async function checkStrays(orderIds: readonly string[]): Promise<OrderFinding[]> {
    const findings: OrderFinding[] = [];
    for (const some of chunks(orderIds, reservationsPerCall)) {
      const stock = await reservations.of(some);
      findings.push(...some.map((orderId) => checkStray(stock.get(orderId))).filter((one) => one !== undefined));
    }
    return findings;
  }

  async function outboxPart(): Promise<AuditPart<OrderAuditPosition>> {
    const before = graceEnd();
    const stuck = await Promise.all([upkeep.stuck(before, maxStuck), decisions.stuck(before, maxStuck)]);
    return { findings: stuck.flat().map(unpublished), checked: {}, next: undefined };
  }

  async function findAll({ invariant, subject }: FindingTarget): Promise<OrderFinding[]> {
    if (invariant === "ORDER_EVENT_UNPUBLISHED") {
      const stuck = [await upkeep.findStuck(subject, graceEnd()), ...(await decisions.stuck(graceEnd(), maxStuck))];
      return stuck.filter((one) => one?.id === subject).map((one) => unpublished(one!));
    }
    if (invariant === "RESERVATION_WITHOUT_ORDER") return await checkStrays(await store.unknown([subject]));
    return await check(await store.findByIds([subject]));
  }

  return {
    name: "orders",
    invariants: orderInvariants,
    async part(place = { phase: "orders" }) {
      if (place.phase === "orders") return await ordersPart(place);
      return place.phase === "reservations" ? await reservationsPart(place) : await outboxPart();
    },
    find: async (target) => (await findAll(target)).find((finding) => isSame(finding, target)),
  };
}

function isSame(one: FindingTarget, other: FindingTarget): boolean {
  return one.invariant === other.invariant && one.subject === other.subject;
}

/** The subject is the id of an order or of a decision. */
function unpublished({ id, events, since }: StuckDocument): OrderFinding {
  return {
    invariant: "ORDER_EVENT_UNPUBLISHED",
    subject: id,
    message: `${events} events have not been published`,
    facts: { events: String(events), since: since.toISOString() },
    repairable: true,
  };
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
