import type { Logger } from "@shop/core";
import { OnePortServer, portOf } from "@shop/http-port";
import { listenFailure, portRefusals, reportNetworkErrors } from "@shop/rpc-server";
import type { Metrics, Scrape } from "./metrics.ts";

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics`, and nothing else, on its own port: metrics are not for the public.
 *
 * @param metrics may also count the errors of this port
 */
export async function serveMetrics(
  metrics: Scrape & Partial<Pick<Metrics, "networkError">>,
  host: string,
  port: number,
  log: Logger,
): Promise<MetricsServer> {
  const onNetworkError = reportNetworkErrors({ log, metrics });
  const server = new OnePortServer({ onNetworkError, refusals: portRefusals }, (request, response) => {
    const isScrape = request.method === "GET" && request.url?.split("?", 1)[0] === "/metrics";
    if (!isScrape) {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      (error) => {
        log.error({ err: error }, "the metrics can't be read");
        response.writeHead(500).end();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenFailure(error, "/metrics", host, port))).listen(port, host, resolve);
  });
  return {
    port: portOf(server),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
