import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";

/**
 * Records the date, the commit and the load of the machine. The returned function prints a result, and writes it to
 * `results/<date>-<name>.md` with `--record`.
 */
export function startReport(
  name: string,
  note: string,
  { record }: { readonly record: boolean },
): (text: string) => void {
  const now = new Date().toISOString();
  const facts = [
    `- ${now.slice(0, 16).replace("T", " ")} UTC, commit ${commit()}, Node ${process.version}`,
    `- ${availableParallelism()} cores (${cpus()[0]?.model.trim() || "unknown model"}), ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB of memory, ${type()} ${release()}`,
    `- load average at the start: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(", ")}`,
    ...(note === "" ? [] : [`- ${note}`]),
  ];
  return (text) => {
    console.log(`\n${text}\n\n${facts.join("\n")}`);
    if (!record) return;
    const folder = join(import.meta.dirname, "../results");
    const file = join(folder, `${now.slice(0, 10)}-${name}.md`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, `# ${name}\n\n${facts.join("\n")}\n\n${text}\n`);
    console.log(`\nwritten to ${file}`);
  };
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  try {
    const changed = git("status", "--porcelain", "--", ":/platform", ":/services", ":/gateway", ":/gen") !== "";
    return git("rev-parse", "--short", "HEAD") + (changed ? " with changes" : "");
  } catch {
    return "unknown";
  }
}
