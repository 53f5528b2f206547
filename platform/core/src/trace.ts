import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";

/** The W3C Trace Context header (https://www.w3.org/TR/trace-context/). */
export const traceparentHeader = "traceparent";

/** Carries the caller's own `traceparent` behind the public port, which sets or removes it on every request. */
export const callerTraceparentHeader = "x-caller-traceparent";

const traceparentFormat = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
/** Made when somebody asks for it: most calls are answered without. */
const current = new AsyncLocalStorage<{
  id: string | undefined;
  parent: string | undefined;
  readonly caller: string | undefined;
}>();

/** 32 hex digits, of which 122 bits are random. Node draws UUIDs from a pool, which makes them cheap. */
function newTraceId(): string {
  return randomUUID().replaceAll("-", "");
}

/**
 * Runs `work` in the trace that `traceparent` names, or in a new one if it names none.
 *
 * @param caller the trace that a caller from outside says it belongs to: a link, kept beside our own
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
 * At the public edge a trace begins: what a caller says of its own moves to a header of ours, so that nobody outside chooses
 * the id that audits are searched by. Changes `headers`; costs nothing where a caller says nothing.
 */
export function beginTrace(headers: Record<string, string | string[] | undefined>): void {
  if (headers[callerTraceparentHeader] !== undefined) delete headers[callerTraceparentHeader];
  const said = headers[traceparentHeader];
  if (said === undefined) return;
  headers[traceparentHeader] = newTraceparent(newTraceId());
  if (traceIdOf(String(said)) !== undefined) headers[callerTraceparentHeader] = String(said);
}

/** The id of the trace that the caller from outside named; undefined when it named none. */
export function callerTraceId(): string | undefined {
  return current.getStore()?.caller;
}

function newTraceparent(id: string): string {
  return `00-${id}-${newTraceId().slice(16)}-01`;
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
  trace.parent ??= newTraceparent(currentTraceId()!);
  return trace.parent;
}
