import { connect } from "node:net";

/**
 * Connects to a loopback port, sends `request` and reads until `expected` finds what it looks for.
 * @returns false when the port refuses, closes or stays silent for `timeoutMs`.
 */
export function answers(
  port: number,
  request: string,
  expected: (received: string) => boolean,
  timeoutMs = 1_000,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    const finish = (outcome: boolean) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("connect", () => {
      if (expected(received)) finish(true);
      else socket.write(request);
    });
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (expected(received)) finish(true);
    });
  });
}

/** Whether something accepts connections on the loopback port. */
export function accepts(port: number): Promise<boolean> {
  return answers(port, "", () => true);
}
