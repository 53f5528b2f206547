import type { Logger } from "@shop/core";
import { type Changes, createChanges } from "@shop/mongo";
import type { Collection } from "mongodb";
import type { OrderDocument } from "./order-document.ts";

/** Wakes who waits for an order to move; not when its outbox empties. */
export function followMoves(orders: Collection<OrderDocument>, log: Logger): Changes {
  const moved = { operationType: "update", "updateDescription.updatedFields.version": { $exists: true } };
  return createChanges(orders, moved, log);
}
