import type { Logger } from "@shop/core";
import { type Changes, createChanges } from "@shop/mongo";
import type { Collection } from "mongodb";
import type { OrderDocument } from "./order-document.ts";

/** Wakes the watches of an order at its transitions, and not when its outbox is cleared. */
export function followTransitions(orders: Collection<OrderDocument>, log: Logger): Changes {
  const transitioned = { operationType: "update", "updateDescription.updatedFields.version": { $exists: true } };
  return createChanges(orders, transitioned, log);
}
