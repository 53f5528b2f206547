/** The reasons why a command refuses to start: one line each, for the terminal, without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** Runs `command`; prints the reasons and exits with code 1 when it refuses to start. */
export function orExit<Result>(command: () => Result): Result {
  try {
    return command();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
