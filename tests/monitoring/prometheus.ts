import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choosePorts } from "@shop/tools/infra";
import { prometheusRules } from "@shop/tools/monitoring";
import { eventually } from "../e2e/eventually.ts";

/** Windows, hold times and intervals are a sixtieth of those in deploy/: an hour is a minute, five minutes are five seconds. */
const scale = 1 / 60;
const startTimeoutMs = 30_000;

/** A running Prometheus. */
export interface Prometheus {
  /** The current result of a query, one value per series. @throws Error if it can't be parsed or evaluated */
  query(expression: string): Promise<readonly number[]>;
  /** The labels of the alerts that fire. */
  firing(): Promise<readonly Readonly<Record<string, string>>[]>;
  stop(): Promise<void>;
}

/** Starts Prometheus, of Debian's package, with the rules of deploy/ on a shorter time scale, and scrapes every second. */
export async function startPrometheus(metricsUrls: readonly string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), "shop-prometheus-"));
  const { prometheus: [port] = [] } = await choosePorts(join(folder, "ports.json"), { prometheus: 1 });
  await writeFile(join(folder, "rules.yaml"), prometheusRules(scale));
  const config = {
    global: { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" },
    rule_files: ["rules.yaml"],
    scrape_configs: [{ job_name: "shop", static_configs: [{ targets: metricsUrls.map((url) => new URL(url).host) }] }],
  };
  await writeFile(join(folder, "prometheus.yaml"), JSON.stringify(config));
  const child = spawn(
    "prometheus",
    [
      `--config.file=${join(folder, "prometheus.yaml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let output = "";
  child.stderr.on("data", (chunk) => (output += chunk));
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stopWithRunner = () => void child.kill("SIGKILL");
  process.once("exit", stopWithRunner);

  async function stop(): Promise<void> {
    child.kill("SIGTERM");
    await exited;
    process.off("exit", stopWithRunner);
    await rm(folder, { recursive: true });
  }

  async function get(path: string): Promise<ReturnType<typeof JSON.parse>> {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    const { status, error, data } = (await answer.json()) as { status: string; error?: string; data: unknown };
    if (status !== "success") throw new Error(`${path}: ${error}`);
    return data;
  }

  try {
    await eventually(() => get("/api/v1/query?query=up"), {
      timeoutMs: startTimeoutMs,
      hopeless: () => child.exitCode !== null,
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${output}`);
  }
  return {
    async query(expression) {
      const { result } = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      return result.map(({ value }: { value: [number, string] }) => Number(value[1]));
    },
    async firing() {
      const { alerts } = await get("/api/v1/alerts");
      return alerts
        .filter(({ state }: { state: string }) => state === "firing")
        .map(({ labels }: { labels: Record<string, string> }) => labels);
    },
    stop,
  };
}
