/** From the least to the most severe. */
const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type Level = (typeof levels)[number];
const longestDetails = 600;

/**
 * A line of a process's output for the terminal, after the name of the process.
 * JSON log lines become readable, and those below `lowestLevel` are hidden. All other lines are shown, except frames of Node's
 * own code in stack traces.
 * @returns undefined for a line that is not shown
 */
export function readableLine(name: string, line: string, lowestLevel: Level): string | undefined {
  const entry = parseEntry(line);
  if (entry === undefined) {
    const isHidden = line.trim() === "" || /^\s+at .*\bnode:internal\//.test(line);
    return isHidden ? undefined : escaped(`${name}: ${line}`);
  }
  const { level, time: _time, pid: _pid, hostname: _hostname, name: _name, msg, ...details } = entry;
  if (levels.indexOf(level) < levels.indexOf(lowestLevel)) return undefined;
  const rest = Object.keys(details).length === 0 ? "" : ` ${JSON.stringify(details)}`;
  const shown = rest.length > longestDetails ? `${rest.slice(0, longestDetails)}...` : rest;
  return escaped(`${name}: ${level}: ${msg ?? ""}${shown}`);
}

/** Replaces control and direction characters by their numbers. */
function escaped(line: string): string {
  return line.replace(/(?!\t)[\p{Cc}\p{Cf}\u2028\u2029\ud800-\udfff]/gu, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

function parseEntry(line: string): ({ level: Level } & Record<string, unknown>) | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const entry = JSON.parse(line) as { level: Level };
    return levels.includes(entry.level) ? entry : undefined;
  } catch {
    return undefined;
  }
}
