import { oneAtATime, retryOnConflict } from "@shop/core";
import type { InsertOutcome, OpenQuantity, OrderStore } from "../adapters/mongo/order-store.ts";
import { accountBusy, openUnitsExceeded } from "../domain/errors.ts";
import { type OrderItem, unitsByProduct } from "../domain/order.ts";

/** Units in orders of one account that are open: neither final nor shipped. 0 for no limit. */
export interface OpenQuantityLimits {
  readonly perAccount: number;
  /** Of one product. */
  readonly perProduct: number;
}

/** What was read of an account that is at its limit is read again after this long: a refusal has to stay cheap. */
const readAgainMs = 1_000;
/** Accounts that are remembered; of others what is open is read first. */
const maxAccounts = 10_000;

/** Keeps each account's open orders within the limits, exactly, in all replicas together. */
export interface OpenQuantities {
  /**
   * Inserts an order within the limits. Throws OPEN_UNITS_EXCEEDED, and nothing is inserted, when there would be more; and
   * ACCOUNT_BUSY when other replicas kept inserting orders of the account.
   *
   * @param insert told the order's place among its account's orders; undefined when nothing limits them
   */
  within(
    order: { readonly userId: string; readonly items: readonly OrderItem[] },
    insert: (place: number | undefined) => Promise<InsertOutcome>,
  ): Promise<InsertOutcome>;
}

/** What one account has open, as far as this process knows: perhaps less by now, never more. */
interface Account {
  readonly inTurn: ReturnType<typeof oneAtATime>;
  waiting: number;
  open: OpenQuantity | undefined;
  /** When it was read and there was no room. */
  fullAt: number;
}

/**
 * Each order of an account takes the place after the last one, which a unique index gives to one order only. A process that
 * knows what is open up to a place, and gets the next one, knows that no other order came between: so what it added up is
 * complete, without a read or a write besides the order itself. A place that is taken means that another replica was faster: then
 * what is open is read, and tried again. Orders that end only make it less, which is read when the limit seems reached. Orders of
 * one account are inserted one after the other in a process, so that no place is skipped.
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
    // The least recently used are first.
    accounts.delete(userId);
    accounts.set(userId, account);
    for (const [id, { waiting }] of accounts) {
      if (accounts.size <= maxAccounts) break;
      if (waiting === 0) accounts.delete(id);
    }
    return account;
  }

  /** Throws when the items are too many besides what is open. */
  function check(open: OpenQuantity, items: readonly OrderItem[]): void {
    const units = sumOf(open.units.values()) + sumOf(items.map(({ quantity }) => quantity));
    if (perAccount > 0 && units > perAccount) throw openUnitsExceeded(perAccount);
    for (const { productId, quantity } of items) {
      const ofProduct = (open.units.get(productId) ?? 0) + quantity;
      if (perProduct > 0 && ofProduct > perProduct) throw openUnitsExceeded(perProduct, productId);
    }
  }

  /** What is open, with room for the items. */
  async function withRoom(account: Account, userId: string, items: readonly OrderItem[]): Promise<OpenQuantity> {
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
    async within({ userId, items }, insert) {
      if (perAccount === 0 && perProduct === 0) return await insert(undefined);
      const account = accountOf(userId);
      account.waiting++;
      try {
        return await account.inTurn(async () => {
          const attempt = async () => {
            const open = await withRoom(account, userId, items);
            // Until it is certain what became of the order, nothing is known of the account.
            account.open = undefined;
            const outcome = await insert(open.place + 1);
            if (outcome === "place_taken") return undefined;
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

function withItems({ place, units }: OpenQuantity, items: readonly OrderItem[]): OpenQuantity {
  return { place: place + 1, units: unitsByProduct(items, units) };
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
