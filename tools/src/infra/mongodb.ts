import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { callApart } from "../call-apart.ts";
import { replaceFile } from "../replace-file.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import type { prepareMongodb } from "./prepare-mongodb.ts";
import type { ServerSource } from "./resolve-server.ts";
import { serverEnvironment } from "./server-environment.ts";
import { type LaunchedServer, type Starting, untilReady } from "./starting.ts";
import { accepts } from "./tcp.ts";

const replicaSet = "rs0";
const preparation = { file: "infra/prepare-mongodb.ts", name: "prepareMongodb" };

/**
 * Starts MongoDB as a replica set of all `names` (of one, transactions and majority writes work too) with a primary and the
 * accounts. It never listens without authentication, not even the first time on data that has no users yet: the
 * starter authenticates with the members' key instead of as a user, so the next start completes an interrupted one.
 */
export async function launchMongodb(
  source: ServerSource,
  names: readonly string[],
  starting: Starting,
): Promise<LaunchedServer> {
  if (source.from === "environment") return { urlFor: () => source.url, answers: async () => {} };
  const { dataDir, env, keep, signal, credentials } = starting;
  const docker = source.from === "docker";
  const ports = names.map((name) => starting.ports[name]![0]!);
  const keyFile = join(dataDir, "mongodb.key");
  replaceFile(keyFile, credentials.mongodbKey);
  const members = await Promise.all(
    names.map(async (name, index) => {
      const own = { name, ports: [ports[index]!] };
      if (docker) {
        const variables = { MONGODB_PORT: String(ports[index]) };
        return keep({
          ...own,
          command: "docker",
          args: source.args,
          env: dockerEnvironment(starting, variables),
        });
      }
      const folder = join(dataDir, name);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return keep({
        ...own,
        command: source.path,
        args: mongodArguments(folder, ports[index]!, keyFile),
        env: serverEnvironment(env),
      });
    }),
  );
  await Promise.all(members.map((member) => member.start()));

  // A container's port differs inside and outside, and only a direct connection works from outside.
  const hosts = docker ? ["127.0.0.1:27017"] : ports.map((port) => `127.0.0.1:${port}`);
  const wanted = { ports, hosts, correct: !docker, accounts: starting.accounts, credentials };
  const failed = new AbortController();
  const ended = AbortSignal.any([failed.signal, ...(signal === undefined ? [] : [signal])]);
  // The other process loads MongoDB's driver while the members start.
  const prepare = () => callApart<typeof prepareMongodb>(preparation, [wanted], ended);
  const listens = (port: number) => () => accepts({ port });
  const [addresses, options] = docker
    ? [`127.0.0.1:${ports[0]}`, "directConnection=true"]
    : [hosts.join(","), `replicaSet=${replicaSet}`];
  return {
    urlFor: (account) =>
      `mongodb://${account}:${credentials.accounts[account]!.mongodbPassword}@${addresses}/?${options}`,
    async answers() {
      try {
        await Promise.all([
          untilReady("mongodb has a primary and the accounts", members, prepare, { docker, signal }),
          ...names.map((name, index) =>
            untilReady(`${name} listens`, members, listens(ports[index]!), { docker, signal }),
          ),
        ]);
      } catch (error) {
        failed.abort();
        throw error;
      }
    },
  };
}

function mongodArguments(folder: string, port: number, keyFile: string): string[] {
  return [
    ...["--dbpath", folder, "--port", String(port), "--bind_ip", "127.0.0.1", "--nounixsocket"],
    // A client without credentials may do nothing, even while no users exist yet.
    ...["--keyFile", keyFile, "--setParameter", "enableLocalhostAuthBypass=false"],
    ...["--replSet", replicaSet, "--oplogSize", "512", "--wiredTigerCacheSizeGB", "1", "--quiet"],
    // The shop reads no past snapshots. Keeping the default five minutes costs a third of the processor time under load.
    ...["--setParameter", "minSnapshotHistoryWindowInSeconds=0"],
    // Otherwise a transaction of a killed process locks its documents for a minute.
    ...["--setParameter", "transactionLifetimeLimitSeconds=5"],
    ...["--setParameter", "diagnosticDataCollectionEnabled=false"],
    // Otherwise a stopping primary keeps refusing clients for 15 s.
    ...["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=200"],
  ];
}
