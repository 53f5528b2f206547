import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import { choosePorts } from "./infra/ports.ts";
import { accepts } from "./infra/tcp.ts";
import { processStamp } from "./process-stamp.ts";
import { openRunFile } from "./run-file.ts";
import { lastLines, type ProcessSpec, superviseProcess } from "./supervised-process.ts";
import { temporaryFolder } from "./testing/temporary-folder.ts";
import { waitUntil } from "./wait.ts";

vi.setConfig({ testTimeout: 20_000 });

const asleep = "setInterval(() => {}, 1000); console.log('up')";

async function freePort(): Promise<number> {
  const { it } = await choosePorts(join(temporaryFolder(), "ports.json"), { it: 1 });
  return it![0]!;
}

function keep(script: string, { restart = true, ...spec }: Partial<ProcessSpec> & { restart?: boolean } = {}) {
  const folder = temporaryFolder();
  const runFile = openRunFile(join(folder, "run.json"));
  const lines: string[] = [];
  const kept = superviseProcess(
    {
      name: "sleeper",
      command: process.execPath,
      args: ["-e", script],
      env: { PATH: process.env.PATH },
      ports: [1234],
      logFile: join(folder, "logs", "sleeper.log"),
      ...spec,
    },
    { runFile, log: (line) => lines.push(line), restart },
  );
  onTestFinished(() => kept.stop(100));
  const recorded = () => openRunFile(join(folder, "run.json")).processes;
  return { kept, recorded, lines };
}

test("run.json lists a process exactly while it runs, through deaths and restarts", async () => {
  const { kept, recorded } = keep(asleep);
  expect(recorded()).toEqual([]);
  await kept.start();
  const first = kept.pid!;
  expect(recorded()).toEqual([{ name: "sleeper", pid: first, ports: [1234], stamp: processStamp(first) }]);

  process.kill(first, "SIGKILL");
  await waitUntil(() => recorded().length === 0, {
    what: "the dead one is gone from run.json",
    timeoutMs: 5_000,
    everyMs: 5,
  });
  await waitUntil(() => kept.pid, { what: "it is started again", timeoutMs: 5_000 });
  expect(recorded().map(({ pid }) => pid)).toEqual([kept.pid]);

  await kept.stop(5_000);
  expect(recorded()).toEqual([]);
});

test("a process that dies after it was ready is restarted at once, each time", async () => {
  const port = await freePort();
  const listening = `require("node:net").createServer().listen(${port}, "127.0.0.1"); ${asleep}`;
  const { kept, lines } = keep(listening, { ports: [port] });
  await kept.start();
  for (let death = 1; death <= 4; death++) {
    await waitUntil(() => accepts({ port }), { what: "it listens", timeoutMs: 5_000 });
    // Longer than the shortest lifetime that is restarted at once, and than the detection of readiness takes.
    await sleep(600);
    const killedAt = performance.now();
    kept.kill("SIGKILL");
    await waitUntil(() => kept.deaths === death && kept.pid, { what: "it runs again", timeoutMs: 5_000, everyMs: 2 });
    expect(performance.now() - killedAt).toBeLessThan(1_000);
  }
  expect(new Set(lines)).toEqual(new Set(["sleeper: died (SIGKILL), starting it again"]));
});

test("a process that is never ready, because another one has its port, is restarted with a delay", async () => {
  const port = await freePort();
  const other = createServer().listen(port, "127.0.0.1");
  onTestFinished(() => void other.close());
  const { kept, lines } = keep("setTimeout(() => process.exit(3), 300)", { ports: [port] });
  await kept.start();
  await waitUntil(() => kept.deaths >= 2, { what: "it died twice", timeoutMs: 5_000 });
  expect(lines).toEqual([
    "sleeper: died (code 3), starting it again in 0.2 s",
    "sleeper: died (code 3), starting it again in 0.4 s",
  ]);
});

test("a process that keeps dying is restarted with increasing delays", async () => {
  const { kept, lines } = keep("process.exit(3)");
  await kept.start();
  await waitUntil(() => kept.deaths >= 3, { what: "it died three times", timeoutMs: 5_000 });
  expect(lines).toEqual([
    "sleeper: died (code 3), starting it again in 0.2 s",
    "sleeper: died (code 3), starting it again in 0.4 s",
    "sleeper: died (code 3), starting it again in 0.8 s",
  ]);
});

test("the progress that a process logs during its start is recorded", async () => {
  const lines = ['{"level":"warn","progress":true,"msg":"indexing"}', "{}", "done"];
  const seen: string[] = [];
  const { kept } = keep(`for (const line of ${JSON.stringify(lines)}) console.log(line); ${asleep}`, {
    onLine: (line) => seen.push(line),
  });
  const startedAt = Date.now();
  await kept.start();
  expect(kept.progressAt).toBeUndefined();
  await waitUntil(() => seen.includes("done"), { what: "it has printed", timeoutMs: 5_000 });
  expect(kept.progressAt).toBeGreaterThanOrEqual(startedAt);
});

test("a stopped process stays stopped until it is started", async () => {
  const { kept, lines } = keep(asleep);
  await kept.start();
  const first = kept.pid;
  await kept.stop(5_000);
  expect([kept.pid, kept.deaths, lines]).toEqual([undefined, 0, []]);
  await kept.start();
  expect(kept.pid).not.toBe(first);
});

test("stop during the delay before a restart cancels the restart", async () => {
  const { kept } = keep("process.exit(3)");
  await kept.start();
  await waitUntil(() => kept.deaths === 1, { what: "it died", timeoutMs: 5_000 });
  await kept.stop(5_000);
  await expect(waitUntil(() => kept.pid, { what: "it runs", timeoutMs: 400 })).rejects.toThrow("without success");
});

test("a process that ignores SIGTERM is killed after the grace", async () => {
  const { kept, lines } = keep(`process.on('SIGTERM', () => {}); ${asleep}`);
  await kept.start();
  await waitUntil(() => lastLines(kept).includes("up"), { what: "it ignores SIGTERM", timeoutMs: 5_000 });
  await kept.stop(50);
  expect(kept.pid).toBeUndefined();
  expect(lines).toEqual(["sleeper: still there after 0.05 s, killing it"]);
});

test("without restart a dead process stays down until it is started", async () => {
  const { kept } = keep(asleep, { restart: false });
  await kept.start();
  kept.kill("SIGKILL");
  await waitUntil(() => kept.deaths === 1, { what: "it died", timeoutMs: 5_000 });
  expect(kept.pid).toBeUndefined();
  await kept.start();
  expect(kept.pid).toBeDefined();
});

test("every line of output is written to the log file and passed to the listener", async () => {
  const lines: string[] = [];
  const { kept } = keep("console.log('one'); console.error('two'); setInterval(() => {}, 1000)", {
    onLine: (line) => lines.push(line),
  });
  await kept.start();
  await waitUntil(() => lines.length === 2, { what: "both lines arrived", timeoutMs: 5_000 });
  expect(lines.toSorted()).toEqual(["one", "two"]);
  expect(lastLines(kept).split("\n").toSorted()).toEqual(["one", "two"]);
});

test("a command that does not exist is an error at the start", async () => {
  const { kept, recorded } = keep("", { command: "/does/not/exist" });
  await expect(kept.start()).rejects.toThrow("ENOENT");
  expect(recorded()).toEqual([]);
});
