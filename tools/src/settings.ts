import { isIPv6 } from "node:net";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { defaultPorts, type PortVariable } from "@shop/topology";
import { repositoryRoot } from "./repository-root.ts";
import { readServiceSettings } from "./service-settings.ts";
import { StartError } from "./start-error.ts";
import { startUsage } from "./start-usage.ts";

/** The services' ports by the variable that sets them; each port is an integer of 1 to 65535. */
export type ServicePorts = Readonly<Record<PortVariable, number>>;

/** The settings of `npm start`. */
export interface Settings {
  /** A process for each service and the gateway, instead of one for all. */
  readonly split: boolean;
  /** Restart the services when their source changes. */
  readonly watch: boolean;
  /** The folders of that source, absolute. */
  readonly sources: readonly string[];
  /** Show all logs of the services, not only warnings and errors. */
  readonly verbose: boolean;
  /** Record all traces, and show them on a page of this machine. */
  readonly traces: boolean;
  readonly ports: ServicePorts;
  readonly listenHost: string;
  /** `listenHost` for URLs on this machine: 127.0.0.1 for a wildcard address. */
  readonly host: string;
  /** Whether the gateway serves `/docs`. */
  readonly apiDocs: boolean;
  /** Absolute. Databases, logs, secrets and run.json live here. */
  readonly dataDir: string;
  /** The time that a process has to stop in before it is killed: it drains, then finishes its calls and events. */
  readonly stopGraceMs: number;
  readonly adminUsername: string;
  /** Undefined when one is to be generated. */
  readonly adminPassword: string | undefined;
  /** The environment from which all of this was read; the services inherit it. */
  readonly env: NodeJS.ProcessEnv;
}

/** In characters. The services check it too, but only after three servers were started. */
const lengths = {
  TOKEN_KEYS_SECRET: { from: 32, to: Number.POSITIVE_INFINITY },
  ADMIN_PASSWORD: { from: 8, to: 128 },
};

/** The time that a process has for its last calls and events, which it finishes after DRAIN_SECONDS. */
const finishSeconds = 15;

/**
 * Reads the flags and the environment; an empty variable counts as absent.
 * @throws StartError with all mistakes at once
 */
export function readSettings(args: readonly string[], env: NodeJS.ProcessEnv): Settings {
  const problems: string[] = [];
  const flags = readFlags(args);

  const ports: ServicePorts = { ...defaultPorts };
  for (const variable of Object.keys(ports) as PortVariable[]) {
    const text = env[variable];
    if (text === undefined || text === "") continue;
    const port = Number(text);
    if (/^\d+$/.test(text) && port >= 1 && port <= 65_535) Object.assign(ports, { [variable]: port });
    else problems.push(`${variable} is "${text}", but a port is an integer of 1 to 65535`);
  }
  for (const [port, sharing] of Map.groupBy(Object.entries(ports), ([, port]) => port)) {
    if (sharing.length < 2) continue;
    problems.push(`${sharing.map(([variable]) => variable).join(" and ")} are both ${port}`);
  }
  for (const [variable, { from, to }] of Object.entries(lengths)) {
    const length = env[variable]?.length ?? 0;
    if (length === 0 || (length >= from && length <= to)) continue;
    const wanted = to === Number.POSITIVE_INFINITY ? `${from} characters at least` : `${from} to ${to} characters`;
    problems.push(`${variable} has ${length} characters, but needs ${wanted}`);
  }
  if (env.ADMIN_USERNAME && !/^[A-Za-z0-9._-]{3,64}$/.test(env.ADMIN_USERNAME)) {
    problems.push(`ADMIN_USERNAME is "${env.ADMIN_USERNAME}", but must be 3 to 64 of letters, digits and . _ -`);
  }
  if (Number(env.NATS_REPLICAS) > 1 && !env.NATS_URL) {
    problems.push(
      `NATS_REPLICAS is ${env.NATS_REPLICAS}, but one NATS server is started here: set NATS_URL to a cluster`,
    );
  }
  const named = new Set(problems.map((problem) => problem.split(" ", 1)[0]));
  const services = readServiceSettings(env);
  problems.push(...services.problems.filter((problem) => !named.has(problem.split(" ", 1)[0])));
  if (problems.length > 0 || services.settings === undefined) throw new StartError(problems.join("\n"));
  const { LISTEN_HOST: listenHost, LOG_LEVEL: logLevel, DRAIN_SECONDS: drainSeconds } = services.settings.platform;

  return {
    ...flags,
    sources: ["platform", "gen", "services", "gateway"].map((name) => join(repositoryRoot, name)),
    verbose: flags.verbose || logLevel === "debug",
    ports,
    listenHost,
    host: reachableHost(listenHost),
    apiDocs: services.settings.gateway.API_DOCS,
    dataDir: resolve(repositoryRoot, env.DATA_DIR || ".data"),
    stopGraceMs: (drainSeconds + finishSeconds) * 1_000,
    adminUsername: env.ADMIN_USERNAME || "admin",
    adminPassword: env.ADMIN_PASSWORD || undefined,
    env,
  };
}

/** The URL host of a listener: a loopback address for a wildcard, otherwise its own, an IPv6 address in brackets. */
function reachableHost(listenHost: string): string {
  if (listenHost === "0.0.0.0" || listenHost === "::") return "127.0.0.1";
  return isIPv6(listenHost) ? `[${listenHost}]` : listenHost;
}

function readFlags(args: readonly string[]): Pick<Settings, "split" | "watch" | "verbose" | "traces"> {
  const flag = { type: "boolean", default: false } as const;
  try {
    return parseArgs({ args: [...args], options: { split: flag, watch: flag, verbose: flag, traces: flag } }).values;
  } catch (error) {
    throw new StartError(`${(error as Error).message.split(". ")[0]}; usage: ${startUsage}`);
  }
}
