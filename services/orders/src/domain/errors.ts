import { DomainError } from "@shop/platform";

export function orderNotFound(orderId: string): DomainError {
  return new DomainError("not_found", "ORDER_NOT_FOUND", "there is no such order", { metadata: { order_id: orderId } });
}

export function statusMoveRefused(orderId: string, from: string, to: string): DomainError {
  return new DomainError(
    "failed_precondition",
    "ORDER_MOVE_REFUSED",
    `an order that is ${from} can't become ${to} this way`,
    {
      metadata: { order_id: orderId, from, to },
    },
  );
}

export function orderBusy(orderId: string): DomainError {
  return new DomainError("aborted", "ORDER_BUSY", "the order is being changed by others: try again", {
    metadata: { order_id: orderId },
    retryAfterMs: 100,
  });
}

/** `fields` are the request's lines, such as `items[2].product_id`. */
export function productsUnknown(fields: readonly string[]): DomainError {
  return new DomainError(
    "invalid_argument",
    "PRODUCT_UNKNOWN",
    "the order names products that are not in the catalogue",
    {
      violations: fields.map((field) => ({ field, description: "is not in the catalogue" })),
    },
  );
}

export function catalogueUnavailable(cause: unknown): DomainError {
  return new DomainError(
    "unavailable",
    "CATALOGUE_UNAVAILABLE",
    "prices can't be had just now: try again in a moment",
    {
      cause,
      retryAfterMs: 1_000,
    },
  );
}
