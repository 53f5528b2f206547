import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ReservationOutcome,
  type ReservationSchema,
  type StockDecisionSchema,
} from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import type { Decision } from "../../domain/ledger.ts";
import type { Reservation } from "../../domain/stock-audit.ts";

const outcomes: Readonly<Record<Decision["outcome"], ReservationOutcome>> = {
  reserved: ReservationOutcome.RESERVED,
  refused: ReservationOutcome.REFUSED,
  void: ReservationOutcome.VOID,
};

export function toReservationMessage({ decision, closings }: Reservation): MessageInitShape<typeof ReservationSchema> {
  return {
    orderId: decision.orderId,
    outcome: outcomes[decision.outcome],
    lines: decision.lines.map(({ productId, quantity }) => ({ productId, quantity })),
    released: closings.has("released"),
    shipped: closings.has("shipped"),
    returned: closings.has("returned"),
  };
}

export function toDecisionMessage({
  orderId,
  outcome,
  reason = "",
}: Decision): MessageInitShape<typeof StockDecisionSchema> {
  return { orderId, outcome: outcomes[outcome], reason };
}
