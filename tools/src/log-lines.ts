/** pino's numbers: see https://getpino.io/#/docs/api?id=logger-level */
const levelNames: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};
const longestDetails = 600;

/**
 * A line of a process's output as the terminal shows it, behind the name of the process.
 * JSON lines of pino become readable, and those below `lowestLevel` (pino's number) are not shown; any other line is.
 * @returns undefined for a line that is not shown
 */
export function readableLine(name: string, line: string, lowestLevel: number): string | undefined {
  const entry = parseEntry(line);
  if (entry === undefined) return line.trim() === "" ? undefined : escaped(`${name}: ${line}`);
  const { level, time: _time, pid: _pid, hostname: _hostname, name: _name, msg, ...details } = entry;
  if (level < lowestLevel) return undefined;
  const rest = Object.keys(details).length === 0 ? "" : ` ${JSON.stringify(details)}`;
  const shown = rest.length > longestDetails ? `${rest.slice(0, longestDetails)}...` : rest;
  return escaped(`${name}: ${levelNames[level] ?? level}: ${msg ?? ""}${shown}`);
}

/** What would move the cursor, colour the terminal or turn the text around is shown by its number. */
function escaped(line: string): string {
  return line.replace(/(?!\t)[\p{Cc}\p{Cf}\u2028\u2029\ud800-\udfff]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

function parseEntry(line: string): ({ level: number } & Record<string, unknown>) | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const entry = JSON.parse(line) as { level?: unknown };
    return typeof entry.level === "number" ? (entry as { level: number }) : undefined;
  } catch {
    return undefined;
  }
}
