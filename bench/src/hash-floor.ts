import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { hash, hashSync, verify, verifySync } from "@node-rs/argon2";
import { runPart, taskOf } from "./part.ts";
import { repeat } from "./repeat.ts";

interface HashTask {
  /** An event loop that awaits each hash, or one thread per concurrent hash without an event loop. */
  readonly by: "loop" | "threads";
  /** Concurrent hashes. */
  readonly atOnce: number;
  readonly seconds: number;
}

const password = "bench-bench-bench";
/** The defaults of the users service. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Password comparisons per second at the same cost, without other work. */
export async function hashFloor(task: HashTask): Promise<number> {
  return await runPart<number>("hashes", task);
}

/** The process that compares. */
export async function compareHashes(): Promise<void> {
  const task = await taskOf<HashTask>();
  process.send!(await (task.by === "loop" ? inLoop(task) : inThreads(task)));
}

async function inLoop(task: HashTask): Promise<number> {
  const stored = await hash(password, cost);
  const { perSecond } = await repeat(() => verify(stored, password), task);
  return perSecond;
}

async function inThreads({ atOnce, seconds }: HashTask): Promise<number> {
  const rates = Array.from({ length: atOnce }, async () => {
    const [perSecond] = await once(new Worker(import.meta.filename, { workerData: seconds }), "message");
    return perSecond as number;
  });
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
}

function inThisThread(seconds: number): number {
  const stored = hashSync(password, cost);
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1000;
  let times = 0;
  for (; elapsed() < seconds; times++) verifySync(stored, password);
  return times / elapsed();
}

if (!isMainThread) parentPort!.postMessage(inThisThread(workerData));
