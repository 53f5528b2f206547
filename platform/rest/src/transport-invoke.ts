import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { isForwarded } from "./headers.ts";
import { once } from "./once.ts";
import type { RestInvoke } from "./transcoder.ts";

/**
 * Invokes methods through a Connect transport: REST in front of any Connect, gRPC or gRPC-Web server, or of
 * createRouterTransport in memory. Request headers are passed on, except those about connection and encoding.
 */
export function invokeTransport(transport: Transport): RestInvoke {
  return async (method, call) => {
    const header = new Headers();
    for (const [name, value] of call.header) if (isForwarded(name)) header.append(name, value);
    const message = await call.message();
    switch (method.methodKind) {
      case "unary":
        return await transport.unary(method as DescMethodUnary, call.signal, call.timeoutMs, header, message);
      case "server_streaming": {
        // Not every transport ends the call when its iterator returns; all obey a signal.
        const abort = new AbortController();
        const signal = AbortSignal.any([call.signal, abort.signal]);
        const request = once(message);
        const stream = method as DescMethodStreaming;
        const response = await transport.stream(stream, signal, call.timeoutMs, header, request);
        return { ...response, message: abortedOnReturn(response.message, abort) };
      }
      default:
        throw new ConnectError(`${method.name} streams requests`, Code.Unimplemented);
    }
  };
}

function abortedOnReturn(messages: AsyncIterable<Message>, abort: AbortController): AsyncIterable<Message> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = messages[Symbol.asyncIterator]();
      return {
        next: () => iterator.next(),
        async return() {
          // The signal first: return() alone may wait for a message that never comes.
          abort.abort();
          await iterator.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
