import { DomainError } from "@shop/core";
import { formatMoney, type Money } from "@shop/money";

export function orderNotFound(orderId: string): DomainError {
  return new DomainError("not_found", "ORDER_NOT_FOUND", "there is no such order", { metadata: { order_id: orderId } });
}

export function transitionRefused(orderId: string, from: string, to: string): DomainError {
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
    "prices are not available at the moment: try again soon",
    {
      cause,
      retryAfterMs: 1_000,
    },
  );
}

export function ordersOverloaded(): DomainError {
  return new DomainError("resource_exhausted", "ORDERS_OVERLOADED", "too many orders are waiting for their stock", {
    // Spreads the retries.
    retryAfterMs: 500 + Math.floor(Math.random() * 1_000),
  });
}

/** The undecided orders of the account, or of its network, use up their share. */
export function orderShareExceeded(): DomainError {
  return new DomainError(
    "resource_exhausted",
    "ORDER_SHARE_EXCEEDED",
    "too many of your orders are waiting for their stock: place the next one when they are decided",
    { retryAfterMs: 500 + Math.floor(Math.random() * 1_000) },
  );
}

/** @param productId for the limit on units of one product */
export function openUnitsExceeded(limit: number, productId?: string): DomainError {
  const message = `your orders that are not shipped yet would have more than ${limit} units${productId === undefined ? "" : " of a product"}`;
  return new DomainError("failed_precondition", "OPEN_UNITS_EXCEEDED", message, {
    metadata: { limit: String(limit), ...(productId !== undefined && { product_id: productId }) },
  });
}

export function accountBusy(): DomainError {
  return new DomainError("aborted", "ACCOUNT_BUSY", "too many orders of the account are being placed at once", {
    retryAfterMs: 100,
  });
}

export function stockUnavailable(cause: unknown): DomainError {
  return new DomainError("unavailable", "STOCK_UNAVAILABLE", "stock is not available at the moment: try again soon", {
    cause,
    retryAfterMs: 1_000,
  });
}

/** @param total the current one */
export function totalChanged(total: Money): DomainError {
  return new DomainError("failed_precondition", "ORDER_TOTAL_MOVED", `the order now costs ${formatMoney(total)}`, {
    metadata: { minor_units: String(total.minorUnits), currency_code: total.currencyCode },
  });
}

export function cancelReasonRequired(): DomainError {
  return new DomainError(
    "invalid_argument",
    "CANCEL_REASON_REQUIRED",
    "a reason is required to cancel another user's order",
    {
      violations: [{ field: "reason", description: "is required for another user's order" }],
    },
  );
}
