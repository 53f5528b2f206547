import type { Collection, Filter } from "mongodb";
import type { OrderAuditStore } from "../../application/ports/order-audit-store.ts";
import type { AuditedOrder } from "../../domain/order-audit.ts";
import { fromDocument, type OrderDocument } from "./order-document.ts";

export function createOrderAuditStore(orders: Collection<OrderDocument>): OrderAuditStore {
  async function read(filter: Filter<OrderDocument>, limit: number): Promise<AuditedOrder[]> {
    const documents = await orders
      .find(filter, { projection: { outbox: 0, request: 0 } })
      .sort({ _id: 1 })
      .limit(limit)
      .toArray();
    return documents.map(toAudited);
  }

  return {
    list: (after, limit) => read(after === undefined ? {} : { _id: { $gt: after } }, limit),
    findByIds: (orderIds) => read({ _id: { $in: [...orderIds] } }, orderIds.length),
    async unknown(orderIds) {
      const left = new Set(orderIds);
      const found = orders.find({ _id: { $in: [...orderIds] } }).project<Pick<OrderDocument, "_id">>({ _id: 1 });
      for await (const { _id } of found) left.delete(_id);
      return [...left];
    },
  };
}

function toAudited(document: OrderDocument): AuditedOrder {
  return { ...fromDocument(document), path: document.history.map(({ status }) => status) };
}
