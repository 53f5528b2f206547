import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import * as http2 from "node:http2";
import { connect, createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "@shop/core";
import {
  endHeaders,
  endStream,
  frame,
  headerBlock,
  literal,
  opening,
  reset,
} from "@shop/http-port/testing/http2-frames";
import { expect, onTestFinished, test, vi } from "vitest";
import { platformConfig } from "../platform-config.ts";

const program = join(import.meta.dirname, "testing/two-ports.ts");
/** Processes start slowly on a busy machine. */
const soon = { timeout: 15_000, interval: 20 };

interface Line {
  readonly msg: string;
  readonly worker?: number;
  readonly pid?: number;
  readonly ports?: { readonly a: number; readonly b: number };
}

interface Program {
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  errors(): string;
  lines(msg: string): Line[];
  /** The pid of the current process of this worker. */
  pidOf(worker: number): number;
}

function start(variables: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, [program], {
    stdio: ["ignore", "pipe", "pipe"],
    // A separate process group, as in a terminal.
    detached: true,
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: join(tmpdir(), "shop-compile-cache"),
      WORKERS: "2",
      ...variables,
    },
  });
  let [output, errors] = ["", ""];
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (errors += chunk));
  const exited = once(child, "close").then(([code]) => code as number | null);
  const lines = (msg: string) =>
    output
      .split("\n")
      .filter((line) => line.includes(`"msg":"${msg}"`))
      .map((line): Line => JSON.parse(line));
  const started: Program = {
    process: child,
    exited,
    errors: () => errors,
    lines,
    pidOf: (worker) => lines("a worker is ready").findLast((line) => line.worker === worker)!.pid!,
  };
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  return started;
}

async function untilReady(started: Program) {
  await vi.waitFor(() => expect(started.lines("ready"), started.errors()).toHaveLength(1), soon);
  return started.lines("ready")[0]!.ports!;
}

/** Requests over a new connection; returns the allowed origin, which identifies the port. */
async function ask(port: number): Promise<string | null> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
    headers: { connection: "close", origin: "http://a.example" },
    signal: AbortSignal.timeout(5_000),
  });
  expect(response.status).toBe(200);
  await response.arrayBuffer();
  return response.headers.get("access-control-allow-origin");
}

/** Opens a connection that stays open. Returns whether it was admitted. */
async function hold(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
  return await new Promise((resolve) => {
    socket.once("data", () => resolve(true));
    socket.once("close", () => resolve(false));
    socket.on("error", () => {}); // 'close' follows.
  });
}

async function sendUntilClosed(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // 'close' follows.
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.once("data", () => socket.destroy()).write(bytes);
  await closed;
}

async function askHttp2(port: number): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const request = session.request({ ":path": "/healthz" }).resume();
  const [headers] = await once(request, "response");
  session.close();
  await once(session, "close");
  return headers[":status"];
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function freePort(): Promise<{ readonly port: number; release(): Promise<void> }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const release = async () => void (await new Promise((resolve) => server.close(resolve)));
  return { port: (server.address() as { port: number }).port, release };
}

test("workers share each port, also a dynamically assigned one, and are reported ready once", async () => {
  const { port: metricsPort, release } = await freePort();
  await release();
  const started = start({ METRICS_PORT: String(metricsPort) });
  const { a, b } = await untilReady(started);
  for (let time = 0; time < 6; time++) {
    expect(await ask(a)).toBe("http://a.example");
    expect(await ask(b)).not.toBe("http://a.example");
    expect(await askHttp2(a)).toBe(200);
  }

  // Each worker admits eight connections to a port: sixteen are more than one worker would.
  let refused = 0;
  for (let held = 0; held < 16; ) {
    if (await hold(a)) held++;
    else refused++;
  }
  for (let time = 0; time < 4; time++) {
    expect(await hold(a)).toBe(false);
    refused++;
  }
  const scraped = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const counts = [...scraped.matchAll(/^shop_connections_refused_total\{limit="total",worker="[12]"\} (\d+)$/gm)];
  expect(counts.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(refused);
  for (const metric of [
    "process_start_time_seconds",
    "nodejs_eventloop_lag_seconds",
    "process_resident_memory_bytes",
  ]) {
    expect(scraped).toMatch(new RegExp(`^${metric}\\{worker="1"\\} [\\d.e-]+$`, "m"));
    expect(scraped).toMatch(new RegExp(`^${metric}\\{worker="2"\\} [\\d.e-]+$`, "m"));
    expect(scraped.match(new RegExp(`^# TYPE ${metric} `, "gm"))).toHaveLength(1);
  }

  process.kill(-started.process.pid!, "SIGINT");
  expect(await started.exited).toBe(0);
  for (const msg of ["ready", "draining", "drained"]) {
    expect(started.lines(msg).filter(({ worker }) => worker === undefined)).toHaveLength(1);
  }
  expect(started.lines("drained").map(({ worker }) => worker)).toEqual(expect.arrayContaining([1, 2, undefined]));
  expect(started.errors()).toBe("");
}, 30_000);

test("a killed worker is replaced, and no client that connects meanwhile waits for it", async () => {
  const started = start({});
  const { a } = await untilReady(started);
  const pid = started.pidOf(1);
  // It is handed a connection, and never acknowledges it.
  process.kill(pid, "SIGSTOP");
  const asked = Promise.allSettled(Array.from({ length: 4 }, () => ask(a)));
  await vi.waitFor(async () => expect(await ask(a)).toBe("http://a.example"), soon);
  process.kill(pid, "SIGKILL");
  const answers = await asked;
  expect(answers.filter(({ status }) => status === "fulfilled").length).toBeGreaterThanOrEqual(3);
  // The connection it was handed is closed, instead of waiting until the client times out.
  for (const answer of answers) if (answer.status === "rejected") expect(answer.reason.name).not.toBe("TimeoutError");
  while (started.pidOf(1) === pid) expect(await ask(a)).toBe("http://a.example");
  expect(started.lines("a worker died, restarting it")).toMatchObject([{ worker: 1, pid, how: "SIGKILL" }]);
  started.process.kill("SIGTERM");
  expect(await started.exited).toBe(0);
}, 30_000);

test("a worker that gets SIGTERM drains, and is replaced", async () => {
  const started = start({});
  const { a } = await untilReady(started);
  const pid = started.pidOf(2);
  process.kill(pid, "SIGTERM");
  await vi.waitFor(() => expect(started.pidOf(2)).not.toBe(pid), soon);
  expect(await ask(a)).toBe("http://a.example");
  expect(started.lines("drained")).toMatchObject([{ worker: 2 }]);
}, 30_000);

test("bytes that break a connection in its first packet do not end a worker", async () => {
  const started = start({});
  const { a, b } = await untilReady(started);
  const request = headerBlock({ ":method": "GET", ":path": "/healthz", ":scheme": "http", ":authority": "a" });
  const expecting = Buffer.concat([request, literal("expect", "100-continue")]);
  const packets = [
    opening(frame("headers", endHeaders | endStream, 1, request), frame("data", 0, 0, Buffer.from("x"))),
    opening(frame("headers", endHeaders, 1, expecting), reset(1, 8)),
    opening(frame("headers", endHeaders, 1, expecting), frame("data", 0, 0, Buffer.from("x"))),
  ];
  // Each worker gets each of them, since they take turns.
  for (const packet of packets) for (const port of [a, b, a, b]) await sendUntilClosed(port, packet);
  for (let time = 0; time < 4; time++) expect(await ask(a)).toBe("http://a.example");
  expect(started.lines("a worker died, restarting it")).toEqual([]);
  expect(started.lines("a worker is ready")).toHaveLength(2);
}, 30_000);

test("workers end when the process that started them is killed", async () => {
  const started = start({});
  await untilReady(started);
  const pids = [started.pidOf(1), started.pidOf(2)];
  expect(pids.every(isAlive)).toBe(true);
  started.process.kill("SIGKILL");
  await vi.waitFor(() => expect(pids.some(isAlive)).toBe(false), soon);
}, 30_000);

test("an invalid setting is reported once, and ends all processes", async () => {
  const started = start({ A_PORT: "http", LOG_LEVEL: "loud", WORKERS: "3" });
  expect(await started.exited).toBe(1);
  expect(started.errors().match(/The configuration is invalid/g)).toHaveLength(1);
  expect(started.errors()).toContain("A_PORT (TCP port)");
  expect(started.errors()).toContain("LOG_LEVEL (debug, info, warn or error)");
}, 30_000);

test("an error that keeps a worker from starting is reported once, and ends all processes", async () => {
  const { port, release } = await freePort();
  onTestFinished(release);
  const started = start({ B_PORT: String(port) });
  expect(await started.exited).toBe(1);
  expect(started.errors().match(/can't listen on port .*EADDRINUSE/g)).toHaveLength(1);
  expect(started.errors()).not.toMatch(/^ +at /m);
  expect(started.lines("ready")).toEqual([]);
}, 30_000);

test.each([
  ["auto", availableParallelism()],
  ["3", 3],
  ["", 1],
])("WORKERS=%s means %d", (WORKERS, expected) => {
  expect(readConfig({ platform: platformConfig }, { WORKERS }).platform.WORKERS).toBe(expected);
});

test.each(["0", "-1", "1.5", "many", "257"])("WORKERS=%s is refused", (WORKERS) => {
  expect(() => readConfig({ platform: platformConfig }, { WORKERS })).toThrow("WORKERS (worker processes, 1 to 256");
});
