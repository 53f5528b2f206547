import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "./google-types.ts";
import { httpStatus, withHttpStatus } from "./http-status.ts";
import { cutText, maxQuotedCharacters, maxViolations } from "./refusal-limits.ts";

type Detail = ConnectError["details"][number];
type BadRequest = MessageInitShape<typeof BadRequestSchema>;
type Violation = NonNullable<BadRequest["fieldViolations"]>[number];

const maxMessageCharacters = 1_000;
/** Percent-encoded, as gRPC sends a message in a header. */
const maxMessageBytes = 4_500;
/** In bytes as counted by `weightOf`: together with the longest message less than `maxErrorBytes` in every protocol. */
const maxDetailsWeight = 9_000;

/**
 * Bounds an error so that its encodings are at most 16 KiB in every protocol: its message is truncated, only the first 20
 * violations are kept, and details that do not fit are dropped. Returns the error itself if it is small already.
 */
export function boundedError(error: ConnectError): ConnectError {
  const message = boundedMessage(error.rawMessage);
  const details = boundedDetails(error.details);
  if (message === error.rawMessage && details === error.details) return error;
  const bounded = new ConnectError(message, error.code, error.metadata, undefined, error.cause);
  bounded.details = details;
  return withHttpStatus(bounded, httpStatus(error));
}

function boundedMessage(text: string): string {
  // Lone surrogates can't be percent-encoded.
  const message = text.toWellFormed();
  let max = maxMessageCharacters;
  let cut = cutText(message, max);
  // A UTF-16 unit is at most three bytes, each of which takes three when percent-encoded.
  while (cut.length * 9 > maxMessageBytes && encodeURIComponent(cut).length > maxMessageBytes) {
    max = Math.floor(max / 2);
    cut = cutText(message, max);
  }
  return cut;
}

function boundedDetails(details: Detail[]): Detail[] {
  let left = maxDetailsWeight;
  const kept: Detail[] = [];
  for (const detail of details) {
    const bounded = isBadRequest(detail) ? boundedBadRequest(detail, left) : detail;
    const weight = weightOf(bounded.value);
    if (weight > left) continue;
    left -= weight;
    kept.push(bounded);
  }
  return isSame(kept, details) ? details : kept;
}

function isBadRequest(detail: Detail): detail is { desc: typeof BadRequestSchema; value: BadRequest } {
  return "desc" in detail && detail.desc.typeName === BadRequestSchema.typeName;
}

function boundedBadRequest(detail: Detail & { readonly value: BadRequest }, maxWeight: number): Detail {
  const violations = detail.value.fieldViolations ?? [];
  let left = maxWeight - weightOf({});
  const kept: Violation[] = [];
  for (const violation of violations.slice(0, maxViolations)) {
    const bounded = boundedViolation(violation);
    left -= weightOf(bounded);
    if (left < 0) break;
    kept.push(bounded);
  }
  return isSame(kept, violations) ? detail : { desc: BadRequestSchema, value: { fieldViolations: kept } };
}

function boundedViolation(violation: Violation): Violation {
  const { field = "", description = "" } = violation;
  const cut = { field: cutText(field, 2 * maxQuotedCharacters), description: cutText(description, 500) };
  return cut.field === field && cut.description === description ? violation : { ...violation, ...cut };
}

function isSame<Item>(some: readonly Item[], others: readonly Item[]): boolean {
  return some.length === others.length && some.every((item, at) => item === others[at]);
}

/** The bytes of a value in Connect's JSON, which contains a detail twice, in base64 and as JSON; other protocols need fewer. */
function weightOf(value: unknown): number {
  if (typeof value === "string") return (4 / 3) * Buffer.byteLength(value) + Buffer.byteLength(JSON.stringify(value));
  if (value instanceof Uint8Array) return 3 * value.byteLength + 60;
  if (value === null || typeof value !== "object") return 20;
  let weight = 60;
  for (const [name, part] of Object.entries(value)) weight += 2.5 * name.length + weightOf(part);
  return weight;
}
