import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { isForwarded } from "./headers.ts";
import type { RestInvoke } from "./transcoder.ts";

/**
 * Calls methods through a Connect transport: REST in front of any Connect, gRPC or gRPC-Web server, or of
 * createRouterTransport in memory. Request headers go along, except those about connection and encoding.
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
        const response = await transport.stream(
          method as DescMethodStreaming,
          call.signal,
          call.timeoutMs,
          header,
          once(message),
        );
        return { header: response.header, trailer: new Headers(), stream: response.message };
      }
      default:
        throw new ConnectError(`${method.name} streams requests`, Code.Unimplemented);
    }
  };
}

async function* once(message: Message): AsyncIterable<Message> {
  yield message;
}
