import * as http from "node:http";

const timeoutMs = 2_000;

/**
 * Whether the server there answers HTTP/1.1 at all, which gRPC's own servers don't: they greet in HTTP/2, and close. Undefined
 * when it cannot be asked, since nobody is there.
 */
export function speaksHttp1(origin: string): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const request = http.request(origin, { method: "OPTIONS", timeout: timeoutMs, agent: false });
    let connected = false;
    request.once("socket", (socket) => socket.once("connect", () => (connected = true)));
    request.once("response", () => settle(true));
    request.once("timeout", () => settle(connected ? false : undefined));
    request.once("error", () => settle(connected ? false : undefined));
    request.end();

    function settle(answer: boolean | undefined): void {
      request.destroy();
      resolve(answer);
    }
  });
}
