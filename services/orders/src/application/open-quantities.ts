import { oneAtATime, retryOnConflict } from "@shop/core";
import { accountBusy, openUnitsExceeded } from "../domain/errors.ts";
import { type OrderItem, unitsByProduct } from "../domain/order.ts";
import type { InsertOutcome, OpenQuantity, OrderStore } from "./ports/order-store.ts";

/** Units in orders of one account that are open: neither final nor shipped. 0 for no limit. */
export interface OpenQuantityLimits {
  readonly perAccount: number;
  /** Of one product. */
  readonly perProduct: number;
}

/** An account at its limit is read again after this time at the earliest, so that a refusal stays cheap. */
const readAgainMs = 1_000;
/** Accounts whose open quantities this process remembers. */
const maxAccounts = 10_000;

/** Keeps each account's open orders within the limits, exactly, in all replicas together. */
export interface OpenQuantities {
  /**
   * Inserts an order unless it exceeds the limits: then throws OPEN_UNITS_EXCEEDED. Throws ACCOUNT_BUSY when other replicas kept
   * inserting orders of the account. In both cases nothing is inserted.
   *
   * @param insert receives the order's sequence number in its account; undefined when there are no limits
   */
  insertWithin(
    order: { readonly userId: string; readonly items: readonly OrderItem[] },
    insert: (sequence: number | undefined) => Promise<InsertOutcome>,
  ): Promise<InsertOutcome>;
}

interface Account {
  readonly inTurn: ReturnType<typeof oneAtATime>;
  waiting: number;
  /** An upper bound: orders may have ended since. Undefined when not known. */
  open: OpenQuantity | undefined;
  /** When a read of `open` last left no room for an order. */
  fullAt: number;
}

/**
 * Orders of an account have consecutive sequence numbers, kept unique by an index. A process that knows the open quantity up to number n
 * and inserts number n + 1 therefore knows that no other order came between, so its own sum is complete, without a read or write besides
 * the order itself. A conflict means that another replica was faster: the open quantity is read and the insert repeated. An order that
 * ends only lowers the quantity, so it is read again only when the limit seems reached. A process inserts the orders of an account one at
 * a time, so that no number is skipped.
 */
export function createOpenQuantities(on: {
  readonly orders: Pick<OrderStore, "findOpenQuantity">;
  readonly limits: OpenQuantityLimits;
}): OpenQuantities {
  const { perAccount, perProduct } = on.limits;
  const accounts = new Map<string, Account>();

  function accountOf(userId: string): Account {
    const account = accounts.get(userId) ?? {
      inTurn: oneAtATime(),
      waiting: 0,
      open: undefined,
      fullAt: Number.NEGATIVE_INFINITY,
    };
    // Least recently used first.
    accounts.delete(userId);
    accounts.set(userId, account);
    for (const [id, { waiting }] of accounts) {
      if (accounts.size <= maxAccounts) break;
      if (waiting === 0) accounts.delete(id);
    }
    return account;
  }

  function check(open: OpenQuantity, items: readonly OrderItem[]): void {
    const units = sumOf(open.units.values()) + sumOf(items.map(({ quantity }) => quantity));
    if (perAccount > 0 && units > perAccount) throw openUnitsExceeded(perAccount);
    for (const { productId, quantity } of items) {
      const ofProduct = (open.units.get(productId) ?? 0) + quantity;
      if (perProduct > 0 && ofProduct > perProduct) throw openUnitsExceeded(perProduct, productId);
    }
  }

  /** The account's open quantity, read again if it leaves no room for the items. Throws OPEN_UNITS_EXCEEDED. */
  async function openWithRoom(account: Account, userId: string, items: readonly OrderItem[]): Promise<OpenQuantity> {
    if (account.open !== undefined) {
      try {
        check(account.open, items);
        return account.open;
      } catch (error) {
        if (performance.now() - account.fullAt < readAgainMs) throw error;
      }
    }
    account.open = await on.orders.findOpenQuantity(userId);
    account.fullAt = performance.now();
    check(account.open, items);
    account.fullAt = Number.NEGATIVE_INFINITY;
    return account.open;
  }

  return {
    async insertWithin({ userId, items }, insert) {
      if (perAccount === 0 && perProduct === 0) return await insert(undefined);
      const account = accountOf(userId);
      account.waiting++;
      try {
        return await account.inTurn(async () => {
          const attempt = async () => {
            const open = await openWithRoom(account, userId, items);
            // If the insert fails, its outcome is unknown, and so is the open quantity.
            account.open = undefined;
            const outcome = await insert(open.sequence + 1);
            if (outcome === "sequence_taken") return undefined;
            account.open = outcome === "inserted" ? withItems(open, items) : open;
            return outcome;
          };
          return await retryOnConflict(attempt, accountBusy);
        });
      } finally {
        account.waiting--;
      }
    },
  };
}

function withItems({ sequence, units }: OpenQuantity, items: readonly OrderItem[]): OpenQuantity {
  return { sequence: sequence + 1, units: unitsByProduct(items, units) };
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
