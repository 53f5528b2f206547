import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import {
  ConnectError,
  type ConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { transformInvokeImplementation } from "@connectrpc/connect/protocol";
import type { NodeHeaders } from "@shop/http-port";
import { once, type RestCall, type RestInvoke } from "@shop/rest";
import { invokeUnary } from "../fast-path/invoke-unary.ts";
import { createLazyContext } from "../fast-path/lazy-context.ts";
import { toConnectError } from "./errors.ts";
import type { RouterOptions } from "./router-options.ts";

/**
 * Invokes methods for the REST transcoder directly, through the same authorization and interceptors as every other protocol,
 * without encoding their messages a second time.
 */
export function callMethods(methods: ReadonlyMap<DescMethod, MethodImplSpec>, options: RouterOptions): RestInvoke {
  return async (method, call) => {
    const spec = methods.get(method);
    if (spec === undefined) throw new Error(`${method.name} is not hosted here`);
    const context = createLazyContext({
      method,
      protocolName: "rest",
      requestMethod: call.route.httpMethod,
      url: `http://rest/${method.parent.typeName}/${method.name}`,
      header: call.header,
      timeoutMs: call.timeoutMs,
      onCallerGone(gone) {
        if (call.signal.aborted) gone();
        else call.signal.addEventListener("abort", gone);
      },
    });
    if (spec.kind !== "unary") {
      await options.requestGate?.(context);
      const input = await decoded(method, call);
      const stream = transformInvokeImplementation(spec, context, options.interceptors)(once(input));
      return {
        header: context.responseHeader,
        trailer: context.responseTrailer,
        message: stream as AsyncIterable<Message>,
      };
    }
    try {
      await options.requestGate?.(context);
      const message = await invokeUnary(spec, context, await decoded(method, call), options.interceptors);
      return {
        header: unlessUntouched(context.responseHeader),
        trailer: unlessUntouched(context.responseTrailer),
        message,
      };
    } catch (error) {
      // As over Connect, headers that a method has set are sent with its error, too.
      if (error instanceof ConnectError)
        for (const [name, value] of context.responseHeader) error.metadata.set(name, value);
      throw error;
    } finally {
      context.end();
    }
  };
}

function unlessUntouched(headers: NodeHeaders): Headers | undefined {
  return headers.isUntouched ? undefined : headers;
}

async function decoded(method: DescMethod, { message }: RestCall): Promise<Message> {
  try {
    return await message();
  } catch (error) {
    throw toConnectError(error, method.parent.file.proto.package);
  }
}

/** Collects the methods that the routes register. */
export function collectMethods(routes: readonly ((router: ConnectRouter) => void)[]): Map<DescMethod, MethodImplSpec> {
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
