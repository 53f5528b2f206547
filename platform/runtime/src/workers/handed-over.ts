import type { ChildProcess } from "node:child_process";

/** The message by which Node's cluster hands a connection to a worker, and its acknowledgement. */
interface HandOver {
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

/**
 * Closes connections that were being handed to a worker when it died. Node keeps its end of them open until the worker
 * acknowledges them, so that their clients would wait for ever.
 */
export function closeHandedOver(worker: ChildProcess): void {
  const underWay = new Map<number, { close(): void }>();
  const send = worker.send;
  worker.send = function (this: ChildProcess, message: HandOver, handle?: unknown, ...rest: unknown[]) {
    if (message.act === "newconn") underWay.set(message.seq!, handle as { close(): void });
    return Reflect.apply(send, this, [message, handle, ...rest]);
  } as ChildProcess["send"];
  worker.on("internalMessage", ({ ack }: HandOver) => void underWay.delete(ack!));
  worker.once("exit", () => {
    for (const connection of underWay.values()) connection.close();
  });
}
