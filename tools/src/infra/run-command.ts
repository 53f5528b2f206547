import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The result of a command. `output` is stdout and stderr together, in arbitrary order. */
export interface CommandResult {
  readonly ok: boolean;
  readonly output: string;
}

/** Runs a command to its end without throwing: a missing, failed or timed-out command is `ok: false`. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly env?: NodeJS.ProcessEnv;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const { timeoutMs, env, signal } = options;
    execFile(
      command,
      args,
      {
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        encoding: "utf8",
        maxBuffer: 16 * 1024 * 1024,
        ...(env === undefined ? {} : { env }),
        ...(signal === undefined ? {} : { signal }),
      },
      (error, stdout, stderr) => {
        const output = `${stdout}${stderr}`.trim();
        if (error === null) resolve({ ok: true, output });
        else if (error.killed) resolve({ ok: false, output: `no answer within ${timeoutMs / 1000} s\n${output}` });
        else resolve({ ok: false, output: output === "" ? error.message : output });
      },
    );
  });
}

/** The first executable file of that name in the folders of `path` (a PATH variable). */
export function findOnPath(name: string, path: string | undefined): string | undefined {
  for (const folder of (path ?? "").split(delimiter)) {
    const candidate = join(folder, name);
    try {
      accessSync(candidate, constants.X_OK);
      if (folder !== "" && statSync(candidate).isFile()) return candidate;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}
