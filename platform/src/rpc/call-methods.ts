import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createHandlerContext,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { invokeUnaryImplementation, transformInvokeImplementation } from "@connectrpc/connect/protocol";
import { toConnectError } from "./errors.ts";
import { once } from "./rest/once.ts";
import type { RestInvoke } from "./rest/transcoder.ts";
import type { RouterOptions } from "./router-options.ts";

/** Made once: a reason of its own for every call costs more than the call. */
const callEnded = new ConnectError("the call has ended", Code.Canceled);

/**
 * Calls methods for the REST transcoder straight away, through the same gate and interceptors as every other protocol but
 * without encoding their messages once more.
 */
export function callMethods(routes: readonly ((router: ConnectRouter) => void)[], options: RouterOptions): RestInvoke {
  const methods = collectMethods(routes);
  return async (method, { route, message, header, signal, timeoutMs }) => {
    const spec = methods.get(method);
    if (spec === undefined) throw new Error(`${method.name} is not hosted here`);
    const context = createHandlerContext({
      service: method.parent,
      method,
      protocolName: "rest",
      requestMethod: route.httpMethod,
      url: `http://rest/${method.parent.typeName}/${method.name}`,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      requestSignal: signal,
      requestHeader: header,
      responseHeader: {},
      responseTrailer: {},
    });
    const result = { header: context.responseHeader, trailer: context.responseTrailer };
    // As over Connect, what a method tells in headers is told with an error, too.
    const withHeader = (error: unknown) => {
      if (error instanceof ConnectError)
        for (const [name, value] of context.responseHeader) error.metadata.set(name, value);
      return error;
    };
    const decoded = async () => {
      try {
        return await message();
      } catch (error) {
        throw toConnectError(error, method.parent.file.proto.package);
      }
    };
    if (spec.kind !== "unary") {
      await options.requestGate?.(context);
      const input = await decoded();
      const stream = transformInvokeImplementation(spec, context, options.interceptors)(once(input));
      return { ...result, message: stream as AsyncIterable<Message> };
    }
    try {
      await options.requestGate?.(context);
      const output = await invokeUnaryImplementation(spec, context, await decoded(), options.interceptors);
      return { ...result, message: output };
    } catch (error) {
      throw withHeader(error);
    } finally {
      context.abort(callEnded);
    }
  };
}

/** What the routes would register with a router. */
function collectMethods(routes: readonly ((router: ConnectRouter) => void)[]): Map<DescMethod, MethodImplSpec> {
  const methods = new Map<DescMethod, MethodImplSpec>();
  const collector: ConnectRouter = {
    handlers: [],
    service<Service extends DescService>(service: Service, implementation: object) {
      for (const spec of Object.values(createServiceImplSpec(service, implementation).methods))
        methods.set(spec.method, spec);
      return collector;
    },
    rpc(method, implementation) {
      methods.set(method, createMethodImplSpec(method, implementation));
      return collector;
    },
  };
  for (const register of routes) register(collector);
  return methods;
}
