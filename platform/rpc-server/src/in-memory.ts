import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextValues,
  createRouterTransport,
  type Interceptor,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { createMethodUrl, runUnaryCall } from "@connectrpc/connect/protocol";
import { errorFromJson, errorToJson } from "@connectrpc/connect/protocol-connect";
import { NodeHeaders } from "@shop/http-port";
import { invokeUnary } from "./fast-path/invoke-unary.ts";
import { createLazyContext } from "./fast-path/lazy-context.ts";
import { collectMethods } from "./pipeline/invoke.ts";
import type { RouterOptions } from "./pipeline/router-options.ts";

const baseUrl = "https://in-memory";

/**
 * Calls a service in the same process through authorization and the interceptors, as every call. Unary calls make nothing
 * of what only a wire needs (Connect's own transport in memory makes a request and a response of HTTP), yet messages and
 * errors arrive as over one: encoded and decoded, so that nothing is shared by accident, and without an error's cause.
 */
export function createInMemoryTransport(
  routes: (router: ConnectRouter) => void,
  called: RouterOptions,
  calling: { readonly interceptors: Interceptor[]; readonly defaultTimeoutMs: number },
): Transport {
  const specs = collectMethods([routes]);
  const streams = createRouterTransport(routes, { router: called, transport: calling });

  async function answer<Input extends DescMessage, Output extends DescMessage>(
    request: UnaryRequest<Input, Output>,
    timeoutMs: number | undefined,
  ): Promise<UnaryResponse<Input, Output>> {
    const { service, method, header, signal } = request;
    const spec = specs.get(method);
    if (spec?.kind !== "unary") throw new ConnectError(`${method.name} is not hosted here`, Code.Unimplemented);
    const context = createLazyContext({
      method,
      protocolName: "connect",
      requestMethod: request.requestMethod,
      url: request.url,
      header,
      timeoutMs,
      onCallerGone(tell) {
        if (signal.aborted) tell();
        else signal.addEventListener("abort", tell, { once: true });
      },
    });
    try {
      await called.requestGate?.(context);
      const message = await invokeUnary(spec, context, crossed(method.input, request.message), called.interceptors);
      return {
        stream: false,
        service,
        method,
        message: crossed(method.output, message as MessageShape<Output>),
        header: context.responseHeader,
        trailer: context.responseTrailer,
      };
    } catch (error) {
      const thrown = ConnectError.from(error);
      const metadata = new Headers(thrown.metadata);
      for (const said of [context.responseHeader, context.responseTrailer])
        for (const [name, value] of said) metadata.append(name, value);
      throw errorFromJson(errorToJson(thrown, undefined), metadata, thrown);
    } finally {
      context.end();
    }
  }

  return {
    async unary(method, signal, timeoutMs = calling.defaultTimeoutMs, header, message, contextValues) {
      const withinMs = timeoutMs <= 0 ? undefined : timeoutMs;
      return await runUnaryCall({
        interceptors: calling.interceptors,
        ...(signal === undefined ? {} : { signal }),
        ...(withinMs === undefined ? {} : { timeoutMs: withinMs }),
        req: {
          stream: false,
          service: method.parent,
          method,
          requestMethod: "POST",
          url: createMethodUrl(baseUrl, method),
          header: header === undefined ? new NodeHeaders() : new Headers(header),
          contextValues: contextValues ?? createContextValues(),
          message,
        },
        // Whoever has waited long enough is told so, though the method may go on.
        next: async (request) => await Promise.race([answer(request, withinMs), aborted(request.signal)]),
      });
    },
    stream: (...call) => streams.stream(...call),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const tell = () => reject(signal.reason);
    if (signal.aborted) tell();
    else signal.addEventListener("abort", tell, { once: true });
  });
}

function crossed<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): MessageShape<Schema> {
  return fromBinary(schema, toBinary(schema, message));
}
