import type { PendingEvent } from "@shop/messaging";
import type { IdempotencyKey, Order, OrderStatus, OrderTransition } from "../../domain/order.ts";

/** `request_made`: the account has an order with this idempotency key. `sequence_taken`: it has one with this sequence number. */
export type InsertOutcome = "inserted" | "request_made" | "sequence_taken";

/** An account's open orders: neither final nor shipped. */
export interface OpenQuantity {
  /** The sequence number of the account's last order; 0 when it has none. */
  readonly sequence: number;
  /** Units by product id. */
  readonly units: ReadonlyMap<string, number>;
}

export interface OrderFilter {
  readonly userId?: string | undefined;
  readonly status?: OrderStatus | undefined;
  readonly createdFrom?: Date | undefined;
  readonly createdBefore?: Date | undefined;
  /** An order id: only orders after it in the listing. */
  readonly after?: string | undefined;
}

export interface OrderStore {
  /** Commits a new order with its events; stores nothing when the key or the sequence number is used already. */
  insert(
    order: Order,
    transition: OrderTransition,
    events: readonly PendingEvent[],
    key?: IdempotencyKey,
    sequence?: number,
  ): Promise<InsertOutcome>;
  /** Reads an account's open orders with majority read concern. */
  findOpenQuantity(userId: string): Promise<OpenQuantity>;
  /** The order that a user placed with this idempotency key. */
  findByRequest(userId: string, requestId: string): Promise<{ order: Order; hash: string } | undefined>;
  findById(orderId: string): Promise<Order | undefined>;
  /** The orders' histories, oldest first. */
  findTransitions(orderIds: readonly string[]): Promise<ReadonlyMap<string, OrderTransition[]>>;
  versionsOf(orderIds: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Newest first. */
  list(filter: OrderFilter, limit: number): Promise<Order[]>;
  /** Pending orders that were placed before `placedBefore`, oldest first. */
  listPending(placedBefore: Date, limit: number): Promise<Order[]>;
  /** Closed orders that were updated since `since`, newest first, in batches of `batchSize`. */
  closedSince(since: Date, batchSize: number): AsyncIterable<readonly Order[]>;
  /** When the pending order of this rank was placed, 0 being the oldest; undefined when no more than `rank` orders are pending. */
  pendingSince(rank: number): Promise<Date | undefined>;
  /** Commits a transition with its events by compare-and-set: undefined, and nothing stored, if the version is no longer `read`'s. */
  transition(read: Order, transition: OrderTransition, events: readonly PendingEvent[]): Promise<Order | undefined>;
  /** Removes the users' ids from their orders and from the histories, as owner and as actor. Safe to repeat. */
  forgetOwners(userIds: readonly string[]): Promise<void>;
}
