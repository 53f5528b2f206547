import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey } from "@connectrpc/connect";

/**
 * Authenticates the caller by the headers, and decides whether it may call the method. Returns the caller; throws a DomainError
 * if access is denied. Runs before any of the body is read, in every protocol.
 */
export type Authorize<Caller = unknown> = (method: DescMethod, header: Headers) => Promise<Caller>;

const callerKey = createContextKey<unknown>(undefined, { description: "the authorized caller" });

/** Keeps the caller for the handler. */
export function rememberCaller(values: ContextValues, caller: unknown): void {
  values.set(callerKey, caller);
}

/** The caller that {@link Authorize} returned for this call. */
export function authorizedCaller(values: ContextValues): unknown {
  const caller = values.get(callerKey);
  // Fail closed: running a handler without authorization is a wiring bug.
  if (caller === undefined) throw new Error("no access decision was made for this call");
  return caller;
}
