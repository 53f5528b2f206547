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
 * Calls a service in the same process through the same authorization and interceptors as any call. Unary calls skip the HTTP
 * request and response that Connect's own in-memory transport creates. Messages and errors are still encoded and decoded, so
 * that no object is shared, and an error loses its cause.
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
      onCallerGone(gone) {
        if (signal.aborted) gone();
        else signal.addEventListener("abort", gone, { once: true });
      },
    });
    try {
      await called.requestGate?.(context);
      const message = await invokeUnary(spec, context, copied(method.input, request.message), called.interceptors);
      return {
        stream: false,
        service,
        method,
        message: copied(method.output, message as MessageShape<Output>),
        header: context.responseHeader,
        trailer: context.responseTrailer,
      };
    } catch (error) {
      const thrown = ConnectError.from(error);
      const metadata = new Headers(thrown.metadata);
      for (const headers of [context.responseHeader, context.responseTrailer])
        for (const [name, value] of headers) metadata.append(name, value);
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
        // At the deadline the caller gets an error, though the method may continue.
        next: async (request) => await Promise.race([answer(request, withinMs), aborted(request.signal)]),
      });
    },
    stream: (...call) => streams.stream(...call),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

function copied<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): MessageShape<Schema> {
  return fromBinary(schema, toBinary(schema, message));
}
