import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** The forwarder, started as a user would. */
export interface Program {
  readonly url: string;
  readonly process: ChildProcess;
  /** Settles once it has ended, with its exit code. */
  readonly exited: Promise<number | null>;
  output(): string;
}

/** Rejects with the program's output when it exits before it is ready. */
export async function startProgram(variables: Readonly<Record<string, string>>): Promise<Program> {
  const child = spawn(process.execPath, ["gateway/src/forward.ts"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, LISTEN_PORT: "0", ...variables },
  });
  const exited = once(child, "exit").then(([code]) => code as number | null);
  let output = "";
  const port = await new Promise<number>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      output += chunk;
      const ready = output.split("\n").find((line) => line.includes('"msg":"ready"'));
      if (ready !== undefined) resolve((JSON.parse(ready) as { port: number }).port);
    };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", look);
    // Once all of its output has been read.
    child.once("close", (code) => reject(new Error(`exit code ${code}\n${output}`)));
  });
  return { url: `http://127.0.0.1:${port}`, process: child, exited, output: () => output };
}
