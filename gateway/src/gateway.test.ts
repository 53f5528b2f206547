import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test, vi } from "vitest";

// Processes have to start.
vi.setConfig({ testTimeout: 20_000 });

/** Starts the gateway as a process; returns its port. */
async function start(env: NodeJS.ProcessEnv): Promise<number> {
  const gateway = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: { GATEWAY_PORT: "0", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(gateway, "exit");
  onTestFinished(async () => {
    gateway.kill();
    await exited;
  });
  for await (const line of createInterface(gateway.stdout)) {
    const { msg, ports } = JSON.parse(line);
    if (msg === "ready") return ports.gateway;
  }
  throw new Error("the gateway did not start");
}

/** Requests over a new connection, which stays open. */
async function isServed(port: number, localAddress: string): Promise<boolean> {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  return await new Promise((resolve) => {
    get({ agent, port, localAddress, host: "127.0.0.1", path: "/healthz" }, (answer) => {
      resolve(answer.resume().statusCode === 200);
    }).on("error", () => resolve(false));
  });
}

async function served(port: number, from: readonly string[]): Promise<boolean[]> {
  const answers: boolean[] = [];
  for (const address of from) answers.push(await isServed(port, address));
  return answers;
}

const [a, b, c] = ["127.0.0.2", "127.0.0.3", "127.0.0.4"] as const;

test("connections are limited as configured, per address and in total, except those of a trusted proxy", async () => {
  const port = await start({ CONNECTIONS_AT_ONCE: "5", CONNECTIONS_PER_ADDRESS: "1", TRUSTED_PROXIES: c });
  expect(await served(port, [a, a, b, b, c, c, c, c])).toEqual([true, false, true, false, true, true, true, false]);
});

test("with a number of trusted proxies no address is limited, since every connection is a proxy's", async () => {
  const port = await start({ CONNECTIONS_AT_ONCE: "3", CONNECTIONS_PER_ADDRESS: "1", TRUSTED_PROXIES: "1" });
  expect(await served(port, [a, a, a, a])).toEqual([true, true, true, false]);
});

test("the gateway serves OpenAPI without running services, and without INTERNAL methods", async () => {
  const port = await start({});
  const description = await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).text();
  expect(JSON.parse(description)).toMatchObject({ openapi: "3.1.1", paths: { "/orders": {} } });
  expect(description).not.toMatch(/BatchGetReservations|\/reservations:batchGet/);
  expect((await fetch(`http://127.0.0.1:${port}/docs`)).status).toBe(200);
});

test("with API_DOCS=false the gateway serves no documentation", async () => {
  const port = await start({ API_DOCS: "false" });
  for (const path of ["/openapi.json", "/docs"]) {
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404);
  }
});
