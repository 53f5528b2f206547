/** Prints a line for the user. */
export type Print = (line: string) => void;

/** Prints to stdout; a closed pipe (`npm start | head`) does not end the shop. */
export function terminal(): Print {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
    });
  }
  return (line) => {
    process.stdout.write(`${line}\n`);
  };
}
