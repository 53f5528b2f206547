/** Why the starter, or a command beside it, refuses to start: a clear line for each reason, for the person at the terminal, no stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Runs `command`; ends the process, saying why, with exit code 1 when it refuses to start. */
export function orExit<Result>(command: () => Result): Result {
  try {
    return command();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
