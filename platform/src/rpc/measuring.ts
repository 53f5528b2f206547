import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Metrics } from "../metrics/metrics.ts";

/** Measures every call from when it passed the gate to the end of its answer. Outside of what maps errors to codes. */
export function measuringInterceptor(metrics: Metrics): Interceptor {
  return (next) => async (request) => {
    const startedAt = performance.now();
    const method = `${request.service.typeName}/${request.method.name}`;
    const ended = (error?: unknown) => {
      const code = error === undefined ? "ok" : codeToString(ConnectError.from(error).code);
      metrics.called(method, code, (performance.now() - startedAt) / 1000);
    };
    try {
      const response = await next(request);
      if (response.stream) return { ...response, message: untilEnd(response.message, ended) };
      ended();
      return response;
    } catch (error) {
      ended(error);
      throw error;
    }
  };
}

async function* untilEnd<Message>(
  messages: AsyncIterable<Message>,
  ended: (error?: unknown) => void,
): AsyncIterable<Message> {
  try {
    yield* messages;
    ended();
  } catch (error) {
    ended(error);
    throw error;
  }
}
