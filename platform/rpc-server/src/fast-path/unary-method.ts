import type { IncomingHttpHeaders } from "node:http";
import type { DescMessage, DescMethod, JsonReadOptions, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouterOptions, type MethodImplSpec } from "@connectrpc/connect";
import {
  createMethodSerializationLookup,
  type MethodSerializationLookup,
  type UniversalHandler,
} from "@connectrpc/connect/protocol";
import { type MessageCheck, memoize } from "@shop/rest";
import type { Compressible } from "./compressions.ts";
import { invokeUnary, type UnarySpec } from "./invoke-unary.ts";
import type { LazyContext } from "./lazy-context.ts";

/** The subset of router options that the fast path needs. */
export type CallOptions = Pick<ConnectRouterOptions, "interceptors" | "requestGate" | "jsonOptions"> & {
  readonly readMaxBytes: number;
  readonly maxTimeoutMs?: number;
  /** Checks messages of a method before they are decoded. */
  readonly checkOf?: (method: DescMethod) => MessageCheck;
  /** Decodes messages from JSON, and throws for invalid ones. Connect's decoder by default. */
  readonly decodeJson?: (
    message: DescMessage,
    bytes: Uint8Array,
    options: Partial<JsonReadOptions> | undefined,
  ) => Message;
  /** The cached answer to a valid request; interceptors do not run for it. */
  readonly findCachedAnswer?: (method: DescMethod, input: Message) => Message | undefined;
};

const writeMaxBytes = 0xffffffff;

/** A unary method, and the fallback handler for calls that the fast path does not take. */
export interface UnaryMethod {
  readonly desc: DescMethod;
  readonly options: CallOptions;
  readonly check: MessageCheck;
  readonly maxTimeoutMs: number;
  readonly fallback: UniversalHandler;
  readonly messages: MethodSerializationLookup<DescMessage, DescMessage>;
  /** Authorizes the call, and throws if it is refused. Runs before the request is read. */
  admit(context: LazyContext): Promise<void> | void;
  invoke(context: LazyContext, input: Message): Message | Promise<Message>;
}

/** A unary call of any protocol, wherever it comes from. */
export interface UnaryCall {
  readonly headers: IncomingHttpHeaders;
  /** The path of the request. */
  readonly path: string;
  /**
   * The body, or the part of it that shows it to be too large; undefined if the sender goes away before its end. Rejects if it
   * exceeds the buffer budget.
   */
  readBody(): Promise<Uint8Array | undefined> | Uint8Array;
  /** Calls `gone` once when the caller has gone, at once if it already has. */
  onCallerGone(gone: () => void): void;
}

/** The outcome of a call: its answer, the bytes of a message that does not decode, or neither because the caller has gone. */
export type UnaryOutcome<Answer> =
  | { readonly answer: Answer }
  | { readonly undecoded: Uint8Array }
  | { readonly isGone: true };

export type UnaryMethods = ReadonlyMap<DescMethod, UnaryMethod>;

/** The unary methods that the handlers serve. */
export function unaryMethods(
  handlers: readonly UniversalHandler[],
  specs: ReadonlyMap<DescMethod, MethodImplSpec>,
  options: CallOptions,
): UnaryMethods {
  const methods = new Map<DescMethod, UnaryMethod>();
  const { interceptors = [], requestGate, jsonOptions, readMaxBytes, findCachedAnswer } = options;
  for (const fallback of handlers) {
    const spec = specs.get(fallback.method);
    if (spec?.kind !== "unary") continue;
    methods.set(spec.method, {
      desc: spec.method,
      options,
      check: options.checkOf?.(spec.method) ?? { problem: () => undefined },
      maxTimeoutMs: options.maxTimeoutMs ?? Number.MAX_SAFE_INTEGER,
      fallback,
      messages: createMethodSerializationLookup(spec.method, undefined, jsonOptions, {
        readMaxBytes,
        writeMaxBytes,
      }),
      admit: (context) => requestGate?.(context),
      invoke: (context, input) =>
        findCachedAnswer?.(spec.method, input) ?? invokeUnary(spec as UnarySpec, context, input, interceptors),
    });
  }
  return methods;
}

/** Decodes a message; undefined if it is invalid or fails the check, in which case the fallback reports the error. */
export function decoded(
  { desc, options, messages, check }: UnaryMethod,
  isBinary: boolean,
  bytes: Uint8Array,
): Message | undefined {
  if (check.problem(bytes, isBinary) !== undefined) return undefined;
  try {
    const { decodeJson, jsonOptions } = options;
    return isBinary || decodeJson === undefined
      ? messages.getI(isBinary).parse(bytes)
      : decodeJson(desc.input, bytes, jsonOptions);
  } catch {
    return undefined;
  }
}

/** Encodes an answer, once per message and codec. */
export function encoded({ messages }: UnaryMethod, isBinary: boolean, output: Message): Compressible {
  const codec = messages.getO(isBinary);
  return memoize(output, codec, () => ({ bytes: codec.serialize(output) }));
}

type Timeout = { readonly timeoutMs?: number; readonly error?: ConnectError | undefined };

/** Caps a parsed timeout; Connect would refuse one beyond the limit. */
export function capped(timeout: Timeout, maxTimeoutMs: number): Timeout {
  return (timeout.timeoutMs ?? 0) > maxTimeoutMs ? { timeoutMs: maxTimeoutMs } : timeout;
}

/** The error that the caller sees. Details of an error that is not a ConnectError are hidden. */
export function publicError(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
