import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { untilGatewayReady } from "./gateway-ready.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";

const timeoutMs = 100;

/** A gateway that is ready after this many requests. */
async function gatewayReadyAt(requests: number): Promise<string> {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(asked < requests ? 503 : 200).end(`asked ${asked} times`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const service = (progressAt: () => number | undefined): SupervisedProcess => ({
  name: "inventory",
  ports: [],
  logFile: `${temporaryFolder()}/inventory.log`,
  pid: 1,
  deaths: 0,
  get progressAt() {
    return progressAt();
  },
  start: async () => {},
  stop: async () => {},
  kill: () => {},
});

const options = { print: () => {}, signal: new AbortController().signal, patient: false, timeoutMs };

test("the start waits beyond its limit for as long as a service reports progress", async () => {
  const startedAt = Date.now();
  await untilGatewayReady(await gatewayReadyAt(10), [service(() => Date.now())], options);
  expect(Date.now() - startedAt).toBeGreaterThan(timeoutMs);
});

test("the start fails once no service has reported progress for the time of the limit, with the gateway's answer", async () => {
  const saidOnce = Date.now() + timeoutMs;
  const failed = untilGatewayReady(await gatewayReadyAt(Number.POSITIVE_INFINITY), [service(() => saidOnce)], options);
  await expect(failed).rejects.toThrow(/^waited 0.1 s without the gateway being ready.*\(503 asked/);
  expect(Date.now()).toBeGreaterThan(saidOnce + timeoutMs);
});
