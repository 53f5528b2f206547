import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  StockMovementKind,
  type StockMovementSchema,
  type StockSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { EntryKind, Movement } from "../../domain/ledger.ts";
import { available, type Balance } from "../../domain/product.ts";

const kinds: Readonly<Record<EntryKind, StockMovementKind>> = {
  received: StockMovementKind.RECEIVED,
  adjusted: StockMovementKind.ADJUSTED,
  decided: StockMovementKind.RESERVED,
  released: StockMovementKind.RELEASED,
  shipped: StockMovementKind.SHIPPED,
  returned: StockMovementKind.RETURNED,
};

export function toStockMessage(productId: string, balance: Balance): MessageInitShape<typeof StockSchema> {
  const { onHand, reserved, sequence } = balance;
  return { productId, onHand, reserved, available: available(balance), sequence };
}

export function toMovementMessage(movement: Movement): MessageInitShape<typeof StockMovementSchema> {
  const { sequence, onHandDelta, reservedDelta } = movement.move;
  return {
    sequence,
    kind: kinds[movement.kind],
    onHandDelta,
    reservedDelta,
    orderIds: [...movement.orderIds],
    actor: movement.actor,
    reason: movement.reason,
    time: timestampFromDate(movement.time),
  };
}
