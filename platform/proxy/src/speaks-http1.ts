import * as http from "node:http";

const timeoutMs = 2_000;

/**
 * Whether the server at an origin answers HTTP/1.1. gRPC's own servers do not: they send HTTP/2 SETTINGS, and close. Undefined
 * if it cannot be connected to.
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
