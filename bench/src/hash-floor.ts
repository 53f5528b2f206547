import { setTimeout as delay } from "node:timers/promises";
import { hash, verify } from "@node-rs/argon2";
import { answerOf, startPart, taskOf } from "./part.ts";

interface HashTask {
  /** Computed at the same time. */
  readonly atOnce: number;
  readonly seconds: number;
}

/** Passwords a second that a bare loop compares at the same cost, with nothing else to do. */
export async function hashFloor(task: HashTask): Promise<number> {
  const child = startPart("hashes", task);
  try {
    return await answerOf<number>(child);
  } finally {
    child.kill();
  }
}

/** The process that compares. */
export async function compareHashes(): Promise<void> {
  const { atOnce, seconds } = await taskOf<HashTask>();
  const password = "bench-bench-bench";
  // As the users service does by default.
  const stored = await hash(password, {
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
  });
  let compared = 0;
  let running = true;
  const startedAt = performance.now();
  const loops = Array.from({ length: atOnce }, async () => {
    while (running) {
      await verify(stored, password);
      compared++;
    }
  });
  await delay(seconds * 1000);
  running = false;
  await Promise.all(loops);
  process.send!(compared / ((performance.now() - startedAt) / 1000));
}
