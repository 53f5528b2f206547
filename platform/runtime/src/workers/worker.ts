import cluster from "node:cluster";
import type { HostProcess } from "../host-process.ts";
import type { FromWorker, ToWorker } from "./messages.ts";

/** In a worker: calls back when it is told to drain and end. Signals won't do: Ctrl-C reaches all processes of a terminal. */
export function onToldToStop(callBack: () => void): void {
  if (!cluster.isWorker) return;
  process.on("message", ({ kind }: ToWorker) => {
    if (kind === "stop") callBack();
  });
}

/** In a worker: what it is to those that run in it. Node ends it when the process that started it is gone. */
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
      const tell = async ({ kind }: ToWorker) => {
        if (kind === "tell_metrics") send({ kind: "metrics", values: await metrics.values() });
      };
      process.on("message", tell);
      return { close: async () => void process.off("message", tell) };
    },
    ready: (ports) => send({ kind: "ready", ports }),
  };
}

function send(message: FromWorker): void {
  // Who is not there to hear it has taken this worker along.
  process.send!(message, undefined, undefined, () => {});
}
