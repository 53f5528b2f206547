import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What to send, again and again. */
export interface ToolLoad {
  readonly url: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly connections: number;
  readonly seconds: number;
}

export interface ToolResult {
  readonly perSecond: number;
  readonly failed: number;
}

/** Says which load tools are missing, and where they come from. */
export function checkLoadTools(): void {
  for (const tool of ["wrk", "h2load"]) {
    try {
      execFileSync("which", [tool], { stdio: "ignore" });
    } catch {
      throw new Error(`${tool} is not installed: apt-get install wrk nghttp2-client`);
    }
  }
}

/** Over HTTP/1.1, by wrk. */
export async function wrk({ url, contentType, body, connections, seconds }: ToolLoad): Promise<ToolResult> {
  return await withFolder(async (folder) => {
    const script = join(folder, "post.lua");
    const bytes = [...body].map((byte) => `\\${byte}`).join("");
    writeFileSync(
      script,
      `wrk.method = "POST"\nwrk.headers["content-type"] = "${contentType}"\nwrk.body = "${bytes}"\n`,
    );
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url];
    const { stdout } = await run("wrk", args);
    const failures = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1];
    return { perSecond: numberIn(stdout, /Requests\/sec:\s+([\d.]+)/), failed: Number(failures ?? 0) };
  });
}

/** Over HTTP/2, by h2load: as many calls at once as there are connections over HTTP/1.1, on a few connections. */
export async function h2load({ url, contentType, body, connections, seconds }: ToolLoad): Promise<ToolResult> {
  return await withFolder(async (folder) => {
    const file = join(folder, "body");
    writeFileSync(file, body);
    const clients = Math.max(1, Math.floor(connections / streamsPerConnection));
    const args = ["-c", String(clients), "-m", String(streamsPerConnection), "-D", String(seconds), "-d", file];
    args.push("-H", `content-type: ${contentType}`, "-H", "te: trailers", url);
    const { stdout } = await run("h2load", args);
    const done = numberIn(stdout, /status codes: (\d+) 2xx/);
    return { perSecond: done / seconds, failed: numberIn(stdout, /(\d+) failed/) };
  });
}

const streamsPerConnection = 8;

async function withFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "shop-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`the load tool said something else:\n${text}`);
  return Number(found);
}
