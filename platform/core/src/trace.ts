import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";

/** The W3C Trace Context header (https://www.w3.org/TR/trace-context/). */
export const traceparentHeader = "traceparent";

/** Carries an external caller's own `traceparent` to services; the public port sets or removes it on every request. */
export const callerTraceparentHeader = "x-caller-traceparent";

const traceparentFormat = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Ids are created when they are read: most calls need none. */
const current = new AsyncLocalStorage<{
  id: string | undefined;
  parent: string | undefined;
  readonly caller: string | undefined;
}>();

/** 32 hex digits, of which 122 bits are random. randomUUID is cheap, since Node draws UUIDs from a pool. */
function newTraceId(): string {
  return randomUUID().replaceAll("-", "");
}

/**
 * Runs `work` in the trace of `traceparent`, or in a new one if that is absent or invalid.
 *
 * @param caller the external caller's `traceparent`, which is only linked to
 */
export function inTrace<Result>(
  traceparent: string | null | undefined,
  work: () => Result,
  caller?: string | null,
): Result {
  return current.run({ id: traceIdOf(traceparent), parent: undefined, caller: traceIdOf(caller) }, work);
}

function traceIdOf(traceparent: string | null | undefined): string | undefined {
  return traceparent?.match(traceparentFormat)?.[1];
}

/**
 * Starts a new trace at the public port: a caller's `traceparent` moves to a header of ours, so that no client chooses the id
 * by which audits are searched. Changes `headers`.
 */
export function beginTrace(headers: Record<string, string | string[] | undefined>): void {
  if (headers[callerTraceparentHeader] !== undefined) delete headers[callerTraceparentHeader];
  const callers = headers[traceparentHeader];
  if (callers === undefined) return;
  headers[traceparentHeader] = newTraceparent(newTraceId());
  if (traceIdOf(String(callers)) !== undefined) headers[callerTraceparentHeader] = String(callers);
}

/** The trace id of the external caller; undefined if it sent none. */
export function callerTraceId(): string | undefined {
  return current.getStore()?.caller;
}

function newTraceparent(id: string): string {
  return `00-${id}-${newTraceId().slice(16)}-01`;
}

/** The id of the current trace, 32 hex digits; undefined outside of any. */
export function currentTraceId(): string | undefined {
  const trace = current.getStore();
  if (trace === undefined) return undefined;
  trace.id ??= newTraceId();
  return trace.id;
}

/**
 * The `traceparent` for calls to other services, so that their work belongs to this trace: the same for all calls of this work.
 */
export function currentTraceparent(): string | undefined {
  const trace = current.getStore();
  if (trace === undefined) return undefined;
  trace.parent ??= newTraceparent(currentTraceId()!);
  return trace.parent;
}
