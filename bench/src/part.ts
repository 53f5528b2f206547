import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Runs a part of the bench (see main.ts) in a child process, and sends it its task. */
export function startPart(
  name: "floor" | "load" | "inserts" | "hashes" | "platform" | "grpc-js",
  task: unknown,
): ChildProcess {
  const child = fork(join(import.meta.dirname, "main.ts"), [name], { serialization: "advanced" });
  child.send(task as object);
  return child;
}

/** The result of a part. Rejects when it ends without one. */
export async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return await new Promise<Answer>((resolve, reject) => {
    child.once("message", (answer) => resolve(answer as Answer));
    child.once("exit", (code) => reject(new Error(`a part of the bench ended with ${code}`)));
  });
}

/** Sends a part's result; the part then ends. */
export async function runPart<Answer>(name: Parameters<typeof startPart>[0], task: unknown): Promise<Answer> {
  const child = startPart(name, task);
  try {
    return await answerOf<Answer>(child);
  } finally {
    child.kill();
  }
}

/** In a part: its task. */
export async function taskOf<Task>(): Promise<Task> {
  const [task] = await once(process, "message");
  return task as Task;
}
