import { hash, verify } from "@node-rs/argon2";
import { askPart, taskOf } from "./part.ts";
import { repeat } from "./repeat.ts";

interface HashTask {
  /** Computed at the same time. */
  readonly atOnce: number;
  readonly seconds: number;
}

/** Passwords a second that a bare loop compares at the same cost, with nothing else to do. */
export async function hashFloor(task: HashTask): Promise<number> {
  return await askPart<number>("hashes", task);
}

/** The process that compares. */
export async function compareHashes(): Promise<void> {
  const task = await taskOf<HashTask>();
  const password = "bench-bench-bench";
  // As the users service does by default.
  const stored = await hash(password, {
    memoryCost: 19_456,
    timeCost: 2,
    parallelism: 1,
  });
  const { perSecond } = await repeat(() => verify(stored, password), task);
  process.send!(perSecond);
}
