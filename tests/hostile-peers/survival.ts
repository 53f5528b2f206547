import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A process's own metrics. */
export interface Vitals {
  /** Open connections, those to its dependencies included. */
  readonly sockets: number;
  readonly heapBytes: number;
  /** Exceptions that were contained in a connection, session, stream or request. */
  readonly exceptions: number;
  readonly networkErrors: number;
}

/** @param metricsUrl of the process */
export async function readVitals(metricsUrl: string): Promise<Vitals> {
  const text = await (await fetch(metricsUrl)).text();
  const sum = (metric: string, labels = "") =>
    text
      .split("\n")
      .filter((line) => line.startsWith(metric) && line.includes(labels))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  return {
    sockets: sum("nodejs_active_resources{", 'type="TCPSocketWrap"'),
    heapBytes: sum("nodejs_heap_size_used_bytes "),
    exceptions: sum("shop_network_errors_total{", 'kind="exception"'),
    networkErrors: sum("shop_network_errors_total{", 'kind="error"'),
  };
}

/** The number of deaths of processes and workers of a shop, by its logs. */
export function deathsLogged(dataDir: string): string[] {
  return globSync(join(dataDir, "logs/*.log")).flatMap((file) =>
    readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => /a worker died|Uncaught|triggerUncaughtException/.test(line)),
  );
}
