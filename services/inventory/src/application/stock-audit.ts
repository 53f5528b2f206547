import { type Clock, retryOnConflict } from "@shop/core";
import type { OutboxUpkeep } from "@shop/messaging";
import type { Audit, AuditPart, FindingTarget } from "@shop/runtime";
import type { Balance } from "../domain/product.ts";
import {
  checkBalance,
  checkEntry,
  derivedBalance,
  type StockFinding,
  stockInvariants,
  type Walk,
  type WrittenEntry,
  walkOn,
  walkStart,
} from "../domain/stock-audit.ts";
import type { StockAuditStore } from "./ports/stock-audit-store.ts";

/** Projections and events have this long to follow the ledger before they count as missing. */
const graceMs = 60_000;
/** The most that a part reads: less than a tenth of a second of the database. */
const productsPerPart = 250;
const movesPerPart = 2_000;
const entriesPerPart = 200;
const linesPerPart = 2_000;
const maxStuck = 1_000;

/** Where a part of the audit begins. The phases run in this order. */
export type StockAuditPosition =
  | {
      readonly phase: "products";
      readonly after?: string;
      /** The product in which the part before stopped. */
      readonly within?: CheckedWalk;
    }
  | { readonly phase: "entries"; readonly after?: string }
  | { readonly phase: "outbox" };

export interface StockAudit extends Audit<StockAuditPosition> {
  /** Rewrites a product's balance as the sum of its movements. Safe to repeat, and while the product moves. */
  rederive(productId: string): Promise<void>;
}

/** A product's balance, and the sum of its movements as far as they were read. */
interface CheckedWalk {
  readonly productId: string;
  readonly balance: Balance;
  readonly walk: Walk;
}

/** The sum so far, and the sequence number up to which a product's movements are to be added to it. */
interface PlannedWalk {
  readonly productId: string;
  readonly balance: Balance;
  readonly from: Walk;
  readonly until: number;
}

/**
 * Compares the balances with the ledger, and the ledger's entries with each other. It may run under live traffic: a balance names the
 * last movement that it includes, and movements up to that one never change.
 */
export function createStockAudit(on: {
  readonly store: StockAuditStore;
  readonly upkeep: OutboxUpkeep;
  readonly clock: Clock;
}): StockAudit {
  const { store, upkeep, clock } = on;
  const graceEnd = () => new Date(clock().getTime() - graceMs);

  async function walkAll(walks: readonly PlannedWalk[]): Promise<CheckedWalk[]> {
    const ahead = walks.filter(({ from, until }) => from.sequence < until);
    const moves = await store.movesOf(
      ahead.map(({ productId, from, until }) => ({ productId, from: from.sequence + 1, until })),
    );
    return walks.map(({ productId, balance, from, until }) => {
      return { productId, balance, walk: walkOn(from, until, moves.get(productId) ?? []) };
    });
  }

  async function walkToEnd(productId: string, balance: Balance): Promise<CheckedWalk> {
    let walk = walkStart;
    while (walk.sequence < balance.sequence) {
      const until = Math.min(balance.sequence, walk.sequence + movesPerPart);
      walk = (await walkAll([{ productId, balance, from: walk, until }]))[0]!.walk;
    }
    return { productId, balance, walk };
  }

  async function checkProducts(walks: readonly CheckedWalk[]): Promise<StockFinding[]> {
    const findings = walks.flatMap(({ productId, balance, walk }) => checkBalance(productId, balance, walk));
    for (const { productId, balance } of await behindLedger(walks)) {
      // A long walk takes time, so its balance may be outdated.
      const current = (await store.findBalance(productId)) ?? balance;
      const [behind] = await behindLedger([{ productId, balance: current }]);
      if (behind !== undefined) findings.push(balanceBehind(behind));
    }
    return findings;
  }

  /** Products whose balance lacks a movement that is older than the grace period, and the time of that movement. */
  async function behindLedger<Known extends { readonly productId: string; readonly balance: Balance }>(
    products: readonly Known[],
  ): Promise<(Known & { readonly since: Date })[]> {
    const next = new Map(products.map(({ productId, balance }) => [productId, balance.sequence + 1]));
    const times = await store.moveTimes(next);
    const end = graceEnd();
    return products.flatMap((product) => {
      const since = times.get(product.productId);
      return since !== undefined && since < end ? [{ ...product, since }] : [];
    });
  }

  async function productsPart(
    position: StockAuditPosition & { phase: "products" },
  ): Promise<AuditPart<StockAuditPosition>> {
    const products = await store.listBalances(position.after, productsPerPart);
    const planned: PlannedWalk[] = [];
    let movements = 0;
    for (const read of products) {
      const { within } = position;
      const resumed = within?.productId === read.productId ? within : { ...read, walk: walkStart };
      const { productId, balance, walk: from } = resumed;
      const until = Math.min(balance.sequence, from.sequence + movesPerPart - movements);
      planned.push({ productId, balance, from, until });
      movements += until - from.sequence;
      if (until < balance.sequence) break;
    }
    const walks = await walkAll(planned);
    const stopped = walks.find(({ balance, walk }) => walk.sequence < balance.sequence);
    const ended = walks.filter((walk) => walk !== stopped);
    const findings = await checkProducts(ended);
    const checked = { products: ended.length, movements };
    const after = ended.at(-1)?.productId ?? position.after;
    const reached = { phase: "products", ...(after === undefined ? {} : { after }) } as const;
    if (stopped !== undefined) return { findings, checked, next: { ...reached, within: stopped } };
    return { findings, checked, next: products.length < productsPerPart ? { phase: "entries" } : reached };
  }

  async function checkEntries(entries: readonly WrittenEntry[]): Promise<StockFinding[]> {
    const orderIds = entries.flatMap((entry) => entry.closings.map(({ orderId }) => orderId));
    const productIds = entries.flatMap((entry) => entry.moves.map(({ productId }) => productId));
    const [reservations, known] = await Promise.all([
      store.reservationsOf([...new Set(orderIds)]),
      store.knownProducts([...new Set(productIds)]),
    ]);
    return entries.flatMap((entry) => checkEntry(entry, reservations, known));
  }

  async function entriesPart({
    after,
  }: StockAuditPosition & { phase: "entries" }): Promise<AuditPart<StockAuditPosition>> {
    const { entries, isLast } = await store.listEntries(after, entriesPerPart, linesPerPart);
    const findings = await checkEntries(entries);
    const next: StockAuditPosition = isLast
      ? { phase: "outbox" }
      : { phase: "entries", after: entries.at(-1)!.entryId };
    return { findings, checked: { entries: entries.length }, next };
  }

  async function outboxPart(): Promise<AuditPart<StockAuditPosition>> {
    const stuck = await upkeep.stuck(graceEnd(), maxStuck);
    return { findings: stuck.map(unpublished), checked: {}, next: undefined };
  }

  async function findAll({ invariant, subject }: FindingTarget): Promise<StockFinding[]> {
    if (invariant === "LEDGER_EVENT_UNPUBLISHED") {
      const stuck = await upkeep.findStuck(subject, graceEnd());
      return stuck === undefined ? [] : [unpublished(stuck)];
    }
    const entry = await store.findEntry(subject);
    if (entry !== undefined) return await checkEntries([entry]);
    const balance = await store.findBalance(subject);
    if (balance === undefined) return [];
    return await checkProducts([await walkToEnd(subject, balance)]);
  }

  async function rederive(productId: string): Promise<void> {
    await retryOnConflict(async () => {
      const read = await store.findBalance(productId);
      const derived = read && derivedBalance((await walkToEnd(productId, read)).walk);
      if (derived === undefined) return true;
      // A conflict means that the product moved meanwhile, from the wrong balance.
      return (await store.replaceBalance(productId, read!, derived)) || undefined;
    });
  }

  return {
    name: "stock",
    invariants: stockInvariants,
    async part(position = { phase: "products" }) {
      if (position.phase === "products") return await productsPart(position);
      return position.phase === "entries" ? await entriesPart(position) : await outboxPart();
    },
    rederive,
    find: async (target) => (await findAll(target)).find(({ invariant }) => invariant === target.invariant),
  };
}

function balanceBehind(behind: {
  readonly productId: string;
  readonly balance: Balance;
  readonly since: Date;
}): StockFinding {
  return {
    invariant: "STOCK_BALANCE_BEHIND",
    subject: behind.productId,
    message: "the balance has not reached the last movement",
    facts: { sequence: String(behind.balance.sequence), next_move_time: behind.since.toISOString() },
    repairable: true,
  };
}

function unpublished({ id, events, since }: Awaited<ReturnType<OutboxUpkeep["stuck"]>>[number]): StockFinding {
  return {
    invariant: "LEDGER_EVENT_UNPUBLISHED",
    subject: id,
    message: `${events} events of the entry have not been published`,
    facts: { events: String(events), since: since.toISOString() },
    repairable: true,
  };
}
