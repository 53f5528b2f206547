import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** Runs a part of the bench (see main.ts) in a child process, and sends it its task. */
export function startPart(
  name: "floor" | "load" | "inserts" | "hashes" | "platform" | "grpc-js" | "watchers",
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

/** The result of a part, which then ends. With `reached` the part sends another message before it, at a point of its own. */
export async function runPart<Answer>(
  name: Parameters<typeof startPart>[0],
  task: unknown,
  reached?: () => void,
): Promise<Answer> {
  const child = startPart(name, task);
  try {
    if (reached !== undefined) {
      await answerOf(child);
      reached();
    }
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
