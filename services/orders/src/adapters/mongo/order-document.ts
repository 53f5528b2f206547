import type { PendingEvent } from "@shop/messaging";
import type { IdempotencyKey, Order, OrderStatus, OrderTransition } from "../../domain/order.ts";

interface MoneyDocument {
  currency_code: string;
  minor_units: bigint;
}

export interface OrderDocument {
  _id: string;
  user_id: string;
  status: OrderStatus;
  status_reason: string;
  items: { product_id: string; name: string; quantity: number; unit_price: MoneyDocument }[];
  total: MoneyDocument;
  version: number;
  history: { status: OrderStatus; time: Date; actor: string; reason: string; trace_id: string }[];
  create_time: Date;
  update_time: Date;
  /** Absent when the caller sent no idempotency key. */
  request?: IdempotencyKey;
  /** The order's sequence number in its account, from 1: see open-quantities.ts. */
  place?: number;
  outbox: PendingEvent[];
}

export function toTransitionDocument({
  status,
  time,
  actor,
  reason,
  traceId,
}: OrderTransition): OrderDocument["history"][number] {
  return { status, time, actor, reason, trace_id: traceId };
}

export function fromDocument(document: OrderDocument): Order {
  return {
    orderId: document._id,
    userId: document.user_id,
    status: document.status,
    statusReason: document.status_reason,
    items: document.items.map(({ product_id, name, quantity, unit_price }) => ({
      productId: product_id,
      name,
      quantity,
      unitPrice: { currencyCode: unit_price.currency_code, minorUnits: BigInt(unit_price.minor_units) },
    })),
    total: { currencyCode: document.total.currency_code, minorUnits: BigInt(document.total.minor_units) },
    version: document.version,
    createTime: document.create_time,
    updateTime: document.update_time,
  };
}
