import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { PortMetrics } from "../port-metrics.ts";
import { whenEnded } from "./when-ended.ts";

/** Measures every authorized call until the end of its answer. Wraps the interceptor that maps errors to codes. */
export function measuringInterceptor(metrics: PortMetrics): Interceptor {
  return (next) => async (request) => {
    const startedAt = performance.now();
    const method = `${request.service.typeName}/${request.method.name}`;
    return await whenEnded(next, request, (error) => {
      const code = error === undefined ? "ok" : codeToString(ConnectError.from(error).code);
      metrics.called(method, code, (performance.now() - startedAt) / 1000);
    });
  };
}
