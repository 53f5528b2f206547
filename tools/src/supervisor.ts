import { join, resolve } from "node:path";
import { defaultPorts } from "@shop/topology";
import { callApart } from "./call-apart.ts";
import { claim } from "./claim.ts";
import { examples } from "./examples.ts";
import type { firstCalls } from "./first-calls.ts";
import { untilGatewayReady } from "./gateway-ready.ts";
import { choosePorts, isFree, launchInfra, listenProblem, ServerUnavailableError } from "./infra/index.ts";
import { findOnPath } from "./infra/run-command.ts";
import { readableLine } from "./log-lines.ts";
import { openDataDir } from "./private-folder.ts";
import { repositoryRoot } from "./repository-root.ts";
import { openRunFile, type RunFile } from "./run-file.ts";
import { adminPasswordToShow, tokenKeysSecret } from "./secrets.ts";
import { ensureServiceKeys } from "./service-keys.ts";
import { retiredSecret, type Service, serviceEnvironment } from "./services.ts";
import type { Settings } from "./settings.ts";
import { shopAccounts } from "./shop-accounts.ts";
import { stopStale } from "./stale.ts";
import { StartError } from "./start-error.ts";
import { onStopSignals } from "./stop-signals.ts";
import { killEverything, type SupervisedProcess, superviseProcess } from "./supervised-process.ts";
import type { Print } from "./terminal.ts";

const killedExitCode = 130;
/** The lowest level that the terminal shows. */
const lowestShown = { verbose: "trace", usual: "warn" } as const;

/**
 * Runs the shop until a signal ends it: the three servers, then the services; restarts processes that die; at the end
 * drains the services before the servers stop. `<dataDir>/run.json` always lists the running processes.
 * @returns the exit code: 0 after a signal, 1 when the start failed (which was printed then)
 */
export async function supervise(settings: Settings, services: readonly Service[], print: Print): Promise<number> {
  // Files of this process and its children are accessible to their owner only.
  process.umask(0o077);
  openDataDir(settings.dataDir);
  const stopping = new AbortController();
  const lock = claim(join(settings.dataDir, "supervisor.lock"));
  if ("heldBy" in lock) {
    print(`${settings.dataDir} is in use by another start (pid ${lock.heldBy}): stop that one, or set DATA_DIR`);
    return 1;
  }
  const runFile = openRunFile(join(settings.dataDir, "run.json"));
  onStopSignals(
    () => {
      print("stopping (once more to kill)");
      stopping.abort();
    },
    () => {
      killEverything();
      for (const { pid } of runFile.processes) runFile.remove(pid);
      lock.release();
      process.exit(killedExitCode);
    },
  );

  const running = new Running();
  try {
    await stopStale(runFile, print);
    await refuseTakenPorts(settings);
    runFile.add({ name: "supervisor", pid: process.pid, ports: [] });
    await start(settings, services, { runFile, running, print, signal: stopping.signal });
    await aborted(stopping.signal);
    return 0;
  } catch (error) {
    if (stopping.signal.aborted) return 0;
    if (!(error instanceof Error)) throw error;
    const expected = error instanceof StartError || error instanceof ServerUnavailableError;
    print((expected ? undefined : error.stack) ?? error.message);
    return 1;
  } finally {
    await running.stop();
    runFile.remove(process.pid);
    lock.release();
  }
}

/** Everything started so far, to be stopped in reverse order. */
class Running {
  readonly #stops: (() => Promise<unknown>)[] = [];

  /** Adds a part that has to stop before all earlier ones. */
  add(stop: () => Promise<unknown>): void {
    this.#stops.unshift(stop);
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops) await stop();
  }
}

interface StartContext {
  readonly runFile: RunFile;
  readonly running: Running;
  readonly print: Print;
  readonly signal: AbortSignal;
}

async function start(settings: Settings, services: readonly Service[], context: StartContext): Promise<void> {
  const { runFile, running, print, signal } = context;
  const { dataDir, ports, env } = settings;

  print("starting MongoDB, Redis and NATS");
  const infra = await launchInfra({
    dataDir,
    accounts: shopAccounts,
    log: print,
    env,
    runFile,
    avoidPorts: Object.values(ports),
    signal,
  });
  running.add(infra.stop);
  const answering = infra.answers();
  // Awaited below.
  answering.catch(() => {});
  // With the data of an earlier start the services load while the servers start; without, there is nothing yet to connect to.
  if (!infra.isPrepared) await answering;

  const madeUp = settings.adminPassword === undefined ? adminPasswordToShow(dataDir) : undefined;
  const secrets = {
    TOKEN_KEYS_SECRET: tokenKeysSecret(dataDir, env),
    ADMIN_USERNAME: settings.adminUsername,
    ADMIN_PASSWORD: settings.adminPassword ?? madeUp?.password ?? "",
  };
  if (env[retiredSecret]) print(`${retiredSecret} is no longer used: services have keys of their own, in DATA_DIR`);
  ensureServiceKeys(dataDir);
  const traces = settings.traces ? await startTraces(dataDir, running) : undefined;
  if (traces && env.OTEL_EXPORTER_OTLP_ENDPOINT) print("--traces: OTEL_EXPORTER_OTLP_ENDPOINT gets no traces");
  const serviceSettings = traces ? { ...settings, env: { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: traces.url } } : settings;
  const supervised = services.map((service) =>
    superviseProcess(
      {
        name: service.name,
        command: process.execPath,
        args: [resolve(repositoryRoot, service.script)],
        cwd: repositoryRoot,
        env: serviceEnvironment(service, serviceSettings, infra, secrets),
        ports: service.ports,
        addresses: service.ports.map((port) => ({ port, host: settings.host.replace(/^\[|\]$/g, "") })),
        logFile: join(dataDir, "logs", `${service.name}.log`),
        onLine(line) {
          const shown = readableLine(service.name, line, settings.verbose ? lowestShown.verbose : lowestShown.usual);
          if (shown !== undefined) print(shown);
        },
      },
      { runFile, log: print, restart: settings.watch ? "once ready" : true, signal },
    ),
  );
  const stopServices = () => Promise.all(supervised.map((service) => service.stop(settings.stopGraceMs)));
  running.add(stopServices);
  print(`starting ${services.map(({ name }) => name).join(", ")}`);
  await Promise.all(supervised.map((service) => service.start()));
  await answering;
  const gatewayUrl = `http://${settings.host}:${ports.GATEWAY_PORT}`;
  if (settings.watch)
    running.add(await restartOnChange(settings.sources, gatewayUrl, supervised, { stopServices, print, signal }));
  await untilGatewayReady(gatewayUrl, supervised, { print, signal, patient: settings.watch });
  // performance.now() counts from the start of this process.
  print(`ready in ${(performance.now() / 1000).toFixed(1)} s`);

  const admin = await callApart<typeof firstCalls>(
    { file: "first-calls.ts", name: "firstCalls" },
    [{ gatewayUrl, settings: { ...settings, env: {} }, adminPassword: secrets.ADMIN_PASSWORD }],
    signal,
  );
  signal.throwIfAborted();
  printSummary(settings, gatewayUrl, [...infra.processes, ...supervised], admin, traces?.url, print);
  madeUp?.wasShown();
}

/** Receives the traces of all processes and shows them, on a port that stays the same for a data folder. */
async function startTraces(dataDir: string, running: Running): Promise<{ readonly url: string }> {
  const { serveTraces } = await import("./traces/serve-traces.ts");
  const { traces } = await choosePorts(join(dataDir, "traces-port.json"), { traces: 1 });
  const server = await serveTraces(traces![0]!);
  running.add(server.close);
  return server;
}

async function refuseTakenPorts({ ports, listenHost }: Settings): Promise<void> {
  const problem = await listenProblem(0, listenHost);
  if (problem !== undefined) {
    throw new StartError(`LISTEN_HOST is "${listenHost}", which is not an address of this machine (${problem})`);
  }
  const taken: string[] = [];
  for (const [variable, port] of Object.entries(ports)) {
    const free = await isFree(port as number, listenHost).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EACCES") throw error;
      throw new StartError(`${variable}: port ${port} needs more permissions; set another`);
    });
    if (!free) taken.push(`${port} (${variable})`);
  }
  if (taken.length === 0) return;
  const which = taken.length === 1 ? `port ${taken[0]} is` : `ports ${taken.join(", ")} are`;
  throw new StartError(`${which} already taken: stop what listens there, or set the variable to a free port`);
}

/**
 * Restarts the services whenever a source was saved, and prints when they are ready.
 * @returns a function that ends the watching and a restart in progress
 */
async function restartOnChange(
  sources: readonly string[],
  gatewayUrl: string,
  supervised: readonly SupervisedProcess[],
  options: {
    readonly stopServices: () => Promise<unknown>;
    readonly print: Print;
    readonly signal: AbortSignal;
  },
): Promise<() => Promise<void>> {
  const { stopServices, print, signal } = options;
  let turn: Promise<unknown> = Promise.resolve();
  let latest = new AbortController();

  async function startAgain(superseded: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    print("the source changed, restarting the services");
    await stopServices();
    if (signal.aborted) return;
    await Promise.all(supervised.map((service) => service.start()));
    // Not awaited: the next save may be needed to make them ready.
    void untilGatewayReady(gatewayUrl, supervised, { print, signal: superseded, patient: true }).then(
      () => print(`ready again in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`),
      () => {},
    );
  }

  const { watchSource } = await import("./watch-source.ts");
  const endWatch = await watchSource(sources, () => {
    latest.abort();
    latest = new AbortController();
    const superseded = AbortSignal.any([signal, latest.signal]);
    turn = turn.then(() => (superseded.aborted ? undefined : startAgain(superseded)));
  });
  return async () => {
    await endWatch();
    await turn;
  };
}

function printSummary(
  settings: Settings,
  gatewayUrl: string,
  processes: readonly SupervisedProcess[],
  admin: string,
  tracesUrl: string | undefined,
  print: Print,
): void {
  const names = Object.entries(settings.ports).map(([variable, port]) => {
    return `${variable.replace("_PORT", "").toLowerCase()} ${port}`;
  });
  print("");
  print(`The shop is open at ${gatewayUrl}`);
  print("");
  print(`  ports      ${names.join(", ")}`);
  for (const { name, pid, ports } of processes) {
    const where = ports.length === 0 ? "a socket in its folder" : `port ${ports.join(", ")}`;
    print(`  ${name.padEnd(11)}pid ${pid}, ${where}`);
  }
  print(`  admin      ${admin}`);
  print(`  data       ${settings.dataDir} (logs in logs/)`);
  if (settings.apiDocs) print(`  docs       ${gatewayUrl}/docs`);
  if (tracesUrl !== undefined) print(`  traces     ${tracesUrl}`);
  print("");
  const grpcurl = findOnPath("grpcurl", settings.env.PATH) !== undefined;
  const isDefault = new URL(gatewayUrl).host === `127.0.0.1:${defaultPorts.GATEWAY_PORT}`;
  const documented = { title: "for the examples of the documentation", command: `export SHOP=${gatewayUrl}` };
  const own = examples(new URL(gatewayUrl).host, { grpcurl });
  for (const { title, command } of isDefault ? own : [documented, ...own]) {
    print(`# ${title}`);
    print(command);
    print("");
  }
  print("Ctrl-C stops everything and keeps the data.");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
