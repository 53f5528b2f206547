import { create, type Message } from "@bufbuild/protobuf";
import type { HandlerContext, Interceptor, MethodImplSpec } from "@connectrpc/connect";
import type { LazyContext } from "./lazy-context.ts";

type AnyFn = Parameters<Interceptor>[0];
type AnyResponse = Awaited<ReturnType<AnyFn>>;

export type UnarySpec = Extract<MethodImplSpec, { kind: "unary" }>;

/**
 * Calls a unary method through its interceptors, as Connect's handlers do, but creates an abort signal only when one of them
 * reads it. Headers and trailers set by interceptors end up in the context.
 */
export async function invokeUnary(
  spec: UnarySpec,
  context: LazyContext,
  input: Message,
  interceptors: readonly Interceptor[],
): Promise<Message> {
  const { method } = spec;
  const service = method.parent;
  let own: AnyResponse | undefined;
  const implementation: AnyFn = async (request) => {
    const message = create(method.output, await spec.impl(request.message as Message, seenBy(request, context)));
    own = {
      stream: false,
      service,
      method,
      message,
      header: context.responseHeader,
      trailer: context.responseTrailer,
    };
    return own;
  };
  const call = interceptors.reduceRight((next, interceptor) => interceptor(next), implementation);
  const response = await call({
    stream: false,
    service,
    method,
    message: input,
    requestMethod: context.requestMethod,
    url: context.url,
    header: context.requestHeader,
    contextValues: context.values,
    get signal() {
      return context.signal;
    },
  });
  if (response !== own) {
    replace(context.responseHeader, response.header);
    replace(context.responseTrailer, response.trailer);
  }
  return response.message as Message;
}

/** The context as the method sees it, with the parts that an interceptor replaced. */
function seenBy(request: Parameters<AnyFn>[0], context: LazyContext): HandlerContext {
  const signal = Object.getOwnPropertyDescriptor(request, "signal");
  // The signal is still our accessor, so no interceptor copied the request.
  if (signal?.get !== undefined && request.header === context.requestHeader) return context;
  return {
    ...context,
    service: request.service,
    requestHeader: request.header,
    signal: request.signal,
    values: request.contextValues,
  };
}

function replace(target: Headers, source: Headers): void {
  if (source === target) return;
  for (const name of [...target.keys()]) target.delete(name);
  for (const [name, value] of source) target.append(name, value);
}
