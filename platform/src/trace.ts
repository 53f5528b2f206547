import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";

/** The W3C Trace Context header (https://www.w3.org/TR/trace-context/). */
export const traceparentHeader = "traceparent";

const traceparentFormat = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Made when somebody asks for it: most calls are answered without. */
const current = new AsyncLocalStorage<{ id: string | undefined; parent: string | undefined }>();

/** 32 hex digits, of which 122 bits are random. Node draws UUIDs from a pool, which makes them cheap. */
function newTraceId(): string {
  return randomUUID().replaceAll("-", "");
}

/** Runs `work` in the trace that `traceparent` names, or in a new one if it names none. */
export function inTrace<Result>(traceparent: string | null | undefined, work: () => Result): Result {
  return current.run({ id: traceparent?.match(traceparentFormat)?.[1], parent: undefined }, work);
}

/** The id of the trace this code runs in, 32 hex digits; undefined outside of any. */
export function currentTraceId(): string | undefined {
  const trace = current.getStore();
  if (trace === undefined) return undefined;
  trace.id ??= newTraceId();
  return trace.id;
}

/** What to send to a neighbour so that its work belongs to this trace: the same for all that this work sends. */
export function currentTraceparent(): string | undefined {
  const trace = current.getStore();
  if (trace === undefined) return undefined;
  trace.parent ??= `00-${currentTraceId()}-${newTraceId().slice(16)}-01`;
  return trace.parent;
}
