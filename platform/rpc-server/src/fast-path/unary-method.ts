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

/** What calls pass and what bounds them: of the options of a router, those that say so. */
export type CallOptions = Pick<ConnectRouterOptions, "interceptors" | "requestGate" | "jsonOptions"> & {
  readonly readMaxBytes: number;
  readonly maxTimeoutMs?: number;
  /** How messages of a method are looked at before they are decoded. */
  readonly checkOf?: (method: DescMethod) => MessageCheck;
  /** How messages of a method are decoded from JSON; throws where they are none. By default as Connect does it. */
  readonly decodeJson?: (
    message: DescMessage,
    bytes: Uint8Array,
    options: Partial<JsonReadOptions> | undefined,
  ) => Message;
  /** An answer that is there already, for a request that is valid: it passes no interceptor. */
  readonly findCachedAnswer?: (method: DescMethod, input: Message) => Message | undefined;
};

const writeMaxBytes = 0xffffffff;

/** A unary method, and the handler that answers what is unusual. */
export interface UnaryMethod {
  readonly desc: DescMethod;
  readonly options: CallOptions;
  readonly check: MessageCheck;
  readonly maxTimeoutMs: number;
  readonly fallback: UniversalHandler;
  readonly messages: MethodSerializationLookup<DescMessage, DescMessage>;
  /** Whether the caller may call; throws when not. To be asked before the request is read. */
  admit(context: LazyContext): Promise<void> | void;
  invoke(context: LazyContext, input: Message): Message | Promise<Message>;
}

export type UnaryMethods = ReadonlyMap<DescMethod, UnaryMethod>;

/** The unary methods among those that the handlers serve. */
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

/** The message in these bytes; undefined for what is none, and for what is refused before. */
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

/** The bytes of an answer. */
export function encoded({ messages }: UnaryMethod, isBinary: boolean, output: Message): Compressible {
  const codec = messages.getO(isBinary);
  return memoize(output, codec, () => ({ bytes: codec.serialize(output) }));
}

type Timeout = { readonly timeoutMs?: number; readonly error?: ConnectError | undefined };

/** A deadline that was parsed, brought within the limit; Connect calls one beyond it an error. */
export function capped(timeout: Timeout, maxTimeoutMs: number): Timeout {
  return (timeout.timeoutMs ?? 0) > maxTimeoutMs ? { timeoutMs: maxTimeoutMs } : timeout;
}

/** What the caller is told: nothing of an error that was not made for it. */
export function toldOf(error: unknown): ConnectError {
  return error instanceof ConnectError
    ? error
    : new ConnectError("internal error", Code.Internal, undefined, undefined, error);
}
