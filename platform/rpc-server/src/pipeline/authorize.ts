import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey } from "@connectrpc/connect";

/**
 * Decides whether the caller that the headers show may call the method, and answers who that is. Throws a DomainError if it may not. Runs
 * before any of the body is read, in every protocol.
 */
export type Authorize<Caller = unknown> = (method: DescMethod, header: Headers) => Promise<Caller>;

const callerKey = createContextKey<unknown>(undefined, { description: "the authorized caller" });

/** Keeps the caller for the handler. */
export function rememberCaller(values: ContextValues, caller: unknown): void {
  values.set(callerKey, caller);
}

/** The caller that {@link Authorize} answered for this call. */
export function authorizedCaller(values: ContextValues): unknown {
  const caller = values.get(callerKey);
  // Fail closed: a handler that runs without authorization is a mistake in the wiring.
  if (caller === undefined) throw new Error("no access decision was made for this call");
  return caller;
}
