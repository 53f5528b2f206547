import type { ChildProcess } from "node:child_process";

/** As Node's cluster hands a connection to a worker, and as the worker says that it has it. */
interface HandOver {
  readonly act?: string;
  readonly seq?: number;
  readonly ack?: number;
}

/**
 * Closes the connections that a worker was just being handed when it died. Node keeps its own end of them open until the
 * worker says that it has them, so that their clients would wait for ever.
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
