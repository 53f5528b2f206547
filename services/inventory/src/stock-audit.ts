import type { Audit, AuditPart, Clock, FindingTarget, OutboxUpkeep } from "@shop/platform";
import type { Balance } from "./domain/product.ts";
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
} from "./domain/stock-audit.ts";
import type { StockAuditStore } from "./store/stock-audit-store.ts";

/** Younger than this, what is missing may be on its way. */
const graceMs = 60_000;
/** How much a part reads at most: a few hundredths of a second of the database. */
const productsPerPart = 50;
const movesPerRead = 500;
const movesPerPart = 2_000;
const entriesPerPart = 12;
const maxStuck = 1_000;

/** Where a part of the audit begins: products first, then the entries of the ledger, then the outbox. */
export type StockPlace =
  | {
      readonly phase: "products";
      readonly after?: string;
      /** The product that the part before stopped in. */
      readonly within?: { readonly productId: string; readonly balance: Balance; readonly walk: Walk };
    }
  | { readonly phase: "entries"; readonly after?: string }
  | { readonly phase: "outbox" };

export interface StockAudit extends Audit<StockPlace> {
  /** Writes a product's balance anew from its movements. Safe to repeat, and while others move the product. */
  rederive(productId: string): Promise<void>;
}

/**
 * Compares the balances with the ledger, and the ledger with itself. Under live traffic too: a balance names the movement
 * it includes, and movements up to there never change.
 */
export function createStockAudit(on: {
  readonly store: StockAuditStore;
  readonly upkeep: OutboxUpkeep;
  readonly clock: Clock;
}): StockAudit {
  const { store, upkeep, clock } = on;
  const graceEnd = () => new Date(clock().getTime() - graceMs);

  /** Walks on, for at most so many moves. */
  async function walkSome(productId: string, balance: Balance, from: Walk, moves: number): Promise<Walk> {
    let walk = from;
    const end = Math.min(balance.sequence, from.sequence + moves);
    while (walk.sequence < end) {
      const until = Math.min(end, walk.sequence + movesPerRead);
      walk = walkOn(walk, until, await store.movesOf(productId, walk.sequence + 1, until));
    }
    return walk;
  }

  async function checkProduct(productId: string, balance: Balance, walk: Walk): Promise<StockFinding[]> {
    const findings = checkBalance(productId, balance, walk);
    // A long walk takes its time: what it began with is no longer what there is.
    if ((await waitsSince(productId, balance)) === undefined) return findings;
    const current = (await store.findBalance(productId)) ?? balance;
    const since = await waitsSince(productId, current);
    if (since === undefined) return findings;
    const behind: StockFinding = {
      invariant: "STOCK_BALANCE_BEHIND",
      subject: productId,
      message: "the balance has not reached the last movement",
      facts: { sequence: String(current.sequence), next_move_time: since.toISOString() },
      repairable: true,
    };
    return [...findings, behind];
  }

  /** When the first movement was made that a balance should include by now, and does not. */
  async function waitsSince(productId: string, { sequence }: Balance): Promise<Date | undefined> {
    const time = await store.moveTime(productId, sequence + 1);
    return time !== undefined && time < graceEnd() ? time : undefined;
  }

  async function productsPart(place: StockPlace & { phase: "products" }): Promise<AuditPart<StockPlace>> {
    const findings: StockFinding[] = [];
    const checked = { products: 0, movements: 0 };
    let { after, within } = place;
    const products = await store.listBalances(after, productsPerPart);
    for (const read of products) {
      const resumed = within?.productId === read.productId ? within : undefined;
      const { productId, balance } = resumed ?? read;
      within = undefined;
      const from = resumed?.walk ?? walkStart;
      const walk = await walkSome(productId, balance, from, movesPerPart - checked.movements);
      checked.movements += walk.sequence - from.sequence;
      if (walk.sequence < balance.sequence) {
        const next = { phase: "products", ...(after === undefined ? {} : { after }) } as const;
        return { findings, checked, next: { ...next, within: { productId, balance, walk } } };
      }
      findings.push(...(await checkProduct(productId, balance, walk)));
      checked.products++;
      after = productId;
    }
    const isLast = products.length < productsPerPart;
    return { findings, checked, next: isLast ? { phase: "entries" } : { phase: "products", after: after! } };
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

  async function entriesPart({ after }: StockPlace & { phase: "entries" }): Promise<AuditPart<StockPlace>> {
    const entries = await store.listEntries(after, entriesPerPart);
    const findings = await checkEntries(entries);
    const isLast = entries.length < entriesPerPart;
    const next: StockPlace = isLast ? { phase: "outbox" } : { phase: "entries", after: entries.at(-1)!.entryId };
    return { findings, checked: { entries: entries.length }, next };
  }

  async function outboxPart(): Promise<AuditPart<StockPlace>> {
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
    return await checkProduct(subject, balance, await walkSome(subject, balance, walkStart, balance.sequence));
  }

  async function rederive(productId: string): Promise<void> {
    for (;;) {
      const read = await store.findBalance(productId);
      if (read === undefined) return;
      const derived = derivedBalance(await walkSome(productId, read, walkStart, read.sequence));
      if (derived === undefined || (await store.replaceBalance(productId, read, derived))) return;
      // It moved on meanwhile: by the same mistake, so once more.
    }
  }

  return {
    name: "stock",
    invariants: stockInvariants,
    async part(place = { phase: "products" }) {
      if (place.phase === "products") return await productsPart(place);
      return place.phase === "entries" ? await entriesPart(place) : await outboxPart();
    },
    rederive,
    find: async (target) => (await findAll(target)).find(({ invariant }) => invariant === target.invariant),
  };
}

function unpublished({ id, events, since }: Awaited<ReturnType<OutboxUpkeep["stuck"]>>[number]): StockFinding {
  return {
    invariant: "LEDGER_EVENT_UNPUBLISHED",
    subject: id,
    message: `${events} events of the entry have not left`,
    facts: { events: String(events), since: since.toISOString() },
    repairable: true,
  };
}
