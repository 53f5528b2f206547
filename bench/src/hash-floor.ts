import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { hash, hashSync, verify, verifySync } from "@node-rs/argon2";
import { askPart, taskOf } from "./part.ts";
import { repeat } from "./repeat.ts";

interface HashTask {
  /** An event loop that awaits each hash, or a thread for each of those computed at once, with no loop at all. */
  readonly by: "loop" | "threads";
  /** Computed at the same time. */
  readonly atOnce: number;
  readonly seconds: number;
}

const password = "bench-bench-bench";
/** As the users service does by default. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Passwords a second that are compared at the same cost with nothing else to do. */
export async function hashFloor(task: HashTask): Promise<number> {
  return await askPart<number>("hashes", task);
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
