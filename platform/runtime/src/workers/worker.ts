import cluster from "node:cluster";
import type { HostProcess } from "../host-process.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/**
 * In a worker: calls back when it has to drain and exit. Signals are not used, since Ctrl-C reaches all processes of a
 * terminal.
 */
export function onStopRequested(callBack: () => void): void {
  if (!cluster.isWorker) return;
  process.on("message", ({ kind }: ToWorker) => {
    if (kind === "stop") callBack();
  });
}

/** In a worker: the host process of its modules. Node ends it when the process that started it is gone. */
export async function workerHost(): Promise<HostProcess> {
  const { number, generatedSecret } = await new Promise<ToWorker & { kind: "start" }>((resolve) => {
    process.on("message", (message: ToWorker) => {
      if (message.kind === "start") resolve(message);
    });
  });
  return {
    generatedSecret,
    logFields: { worker: number },
    async showMetrics(metrics) {
      const answer = async ({ kind }: ToWorker) => {
        if (kind === "read_metrics") send({ kind: "metrics", values: await metrics.values() });
      };
      process.on("message", answer);
      return { close: async () => void process.off("message", answer) };
    },
    ready: (ports) => send({ kind: "ready", ports }),
  };
}

function send(message: FromWorker): void {
  // If the parent is gone, this worker is ending, too.
  process.send!(message, undefined, undefined, () => {});
}
