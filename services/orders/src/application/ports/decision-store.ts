import type { OutboxLag, StuckDocument } from "@shop/messaging";
import type { Order, OrderTransition } from "../../domain/order.ts";

/** One transition of many orders, decided by inventory. */
export interface Decision {
  readonly decisionId: string;
  readonly orderIds: readonly string[];
  readonly transition: OrderTransition;
  /** Event types that are known to be published for all of these orders, so they are removed from the outboxes. */
  readonly publishedTypes: readonly string[];
}

/** Decisions from their commit until the events of their orders are published. */
export interface DecisionStore {
  /** Commits decisions, before the first of their orders changes. */
  insert(decisions: readonly Omit<Decision, "decisionId">[]): Promise<readonly Decision[]>;
  /** Applies a decision to those of its orders that are still pending, and returns how many were. Safe to repeat. */
  apply(decision: Decision): Promise<number>;
  /** The orders that a decision changed, in the decision's order and as they were before it, even if they have changed since. */
  findApplied(decision: Decision): Promise<Order[]>;
  /** Deletes a decision, once the events of its orders are published. */
  remove(decisionId: string): Promise<void>;
  find(decisionId: string): Promise<Decision | undefined>;
  /** Decisions older than `before`, oldest first. */
  listUnfinished(before: Date, limit: number): Promise<Decision[]>;
  /** The same decisions in the form that outbox audits report: one event for each order. */
  stuck(before: Date, limit: number): Promise<StuckDocument[]>;
  lag(): Promise<OutboxLag>;
}
