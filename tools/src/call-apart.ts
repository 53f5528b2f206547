import { fork } from "node:child_process";
import { getCompileCacheDir } from "node:module";
import { join } from "node:path";
import { StartError } from "./start-error.ts";

/** An exported function of a module in this folder, whose arguments and result can be cloned. */
export interface RemoteFunction {
  /** The module's file, relative to this folder. */
  readonly file: string;
  readonly name: string;
}

/** What the other process answers. */
export type Outcome = { readonly result: unknown } | { readonly error: Error; readonly isStartError: boolean };

/**
 * Calls a function in a Node process of its own, which ends with the answer: the libraries that it loads do not stay in the memory
 * of this process, which runs as long as the shop does. The other process prints to the same terminal, gets no Ctrl-C from it, and
 * ends when this one does.
 * @throws the function's error, StartError included; the signal's reason once it fires
 */
export function callApart<Fn extends (...args: never[]) => unknown>(
  { file, name }: RemoteFunction,
  args: Parameters<Fn>,
  signal?: AbortSignal,
): Promise<Awaited<ReturnType<Fn>>> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = fork(join(import.meta.dirname, "called-apart.ts"), [file, name], {
      serialization: "advanced",
      detached: true,
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: getCompileCacheDir() },
    });
    const abort = () => child.kill("SIGKILL");
    signal?.addEventListener("abort", abort, { once: true });
    let outcome: Outcome | undefined;
    child.once("message", (message) => {
      outcome = message as Outcome;
    });
    child.once("error", reject);
    child.once("close", (code, how) => {
      signal?.removeEventListener("abort", abort);
      if (signal?.aborted) reject(signal.reason);
      else if (outcome === undefined) reject(new Error(`the process of ${name} ended with ${how ?? `code ${code}`}`));
      else if ("result" in outcome) resolve(outcome.result as Awaited<ReturnType<Fn>>);
      else reject(outcome.isStartError ? new StartError(outcome.error.message) : outcome.error);
    });
    child.send(args);
  });
}
