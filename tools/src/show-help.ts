/** Prints the usage of a command and ends the process, if its arguments contain --help or -h. */
export function showHelp(args: readonly string[], usage: string): void {
  if (!args.includes("--help") && !args.includes("-h")) return;
  console.log(usage);
  process.exit(0);
}
