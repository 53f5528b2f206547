import type { AuditedOrder } from "../../domain/order-audit.ts";

/** The audit's reads of orders, each by an index. */
export interface OrderAuditStore {
  /** Sorted by id, from the first after `after`. */
  list(after: string | undefined, limit: number): Promise<AuditedOrder[]>;
  findByIds(orderIds: readonly string[]): Promise<AuditedOrder[]>;
  /** The ids for which no order exists. */
  unknown(orderIds: readonly string[]): Promise<string[]>;
}
