/** Why the starter refuses to start: one clear line for the person at the terminal, no stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}
