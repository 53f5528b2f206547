import { connect, type NetConnectOpts } from "node:net";

/** The address of a local server: a port, on 127.0.0.1 by default, or a Unix socket. */
export type LocalAddress = { readonly port: number; readonly host?: string } | { readonly path: string };

/**
 * Connects to a local server, sends `request` and reads until `expected` matches.
 * @returns false when the server refuses, closes or stays silent for `timeoutMs`.
 */
export function answers(
  address: LocalAddress,
  request: string,
  expected: (received: string) => boolean,
  timeoutMs = 1_000,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", ...address } as NetConnectOpts);
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

/** Whether a process accepts connections there. */
export function accepts(address: LocalAddress): Promise<boolean> {
  return answers(address, "", () => true);
}
