/** A short name for a class of errors, without their data: a reason, a code, or the name of the error's class. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return "_OTHER";
  const { reason, code } = error as { readonly reason?: unknown; readonly code?: unknown };
  const named = [reason, code].find((one) => typeof one === "string" || typeof one === "number");
  return named === undefined ? error.name : String(named);
}
