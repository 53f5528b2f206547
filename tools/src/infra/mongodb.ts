import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Document, MongoClient, MongoServerError } from "mongodb";
import type { ServerSource } from "./resolve-server.ts";
import { type StartedServer, type Starting, untilReady } from "./starting.ts";
import { accepts } from "./tcp.ts";

const replicaSet = "rs0";
const notYetInitialized = 94;
const alreadyInitialized = 23;

/** Starts MongoDB as a replica set of all `names` (of one, transactions and majority writes work too) with a primary. */
export async function startMongodb(
  source: ServerSource,
  names: readonly string[],
  starting: Starting,
): Promise<StartedServer> {
  if (source.from === "environment") return { url: source.url, members: [] };
  const { dataDir, keep, signal } = starting;
  const docker = source.from === "docker";
  const ports = names.map((name) => starting.ports[name]![0]!);
  const members = await Promise.all(
    names.map(async (name, index) => {
      const own = { name, ports: [ports[index]!] };
      if (docker) {
        const env = { ...process.env, MONGODB_PORT: String(ports[index]) };
        return keep({ ...own, command: "docker", args: source.args, env });
      }
      const folder = join(dataDir, name);
      await mkdir(folder, { recursive: true });
      return keep({ ...own, command: source.path, args: mongodArguments(folder, ports[index]!) });
    }),
  );
  await Promise.all(members.map((member) => member.start()));
  for (const [index, name] of names.entries()) {
    await untilReady(`${name} listens`, members, () => accepts(ports[index]!), { docker, signal });
  }

  const clients = ports.map((port) => directClient(port));
  try {
    // In a container the port is another one inside than outside, where only a direct connection reaches it.
    const hosts = docker ? ["127.0.0.1:27017"] : ports.map((port) => `127.0.0.1:${port}`);
    const ready = async () =>
      (await agreeOnMembers(clients[0]!, hosts, { correct: !docker })) && (await anyWritable(clients));
    await untilReady("mongodb has a primary", members, ready, { docker, signal });
    return {
      url: docker
        ? `mongodb://127.0.0.1:${ports[0]}/?directConnection=true`
        : `mongodb://${hosts.join(",")}/?replicaSet=${replicaSet}`,
      members,
    };
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

function mongodArguments(folder: string, port: number): string[] {
  return [
    ...["--dbpath", folder, "--port", String(port), "--bind_ip", "127.0.0.1", "--nounixsocket"],
    ...["--replSet", replicaSet, "--oplogSize", "512", "--wiredTigerCacheSizeGB", "1", "--quiet"],
    // Nobody reads the past. Keeping five minutes of it, as it would, costs a third of its processor time under load.
    ...["--setParameter", "minSnapshotHistoryWindowInSeconds=0"],
    // A transaction of a killed process holds its documents for a minute otherwise.
    ...["--setParameter", "transactionLifetimeLimitSeconds=5"],
    ...["--setParameter", "diagnosticDataCollectionEnabled=false"],
    // A primary that is asked to stop keeps refusing clients for 15 s otherwise.
    ...["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=200"],
  ];
}

function directClient(port: number): MongoClient {
  return new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 5_000,
  });
}

/**
 * Initiates the replica set if it is new; if its members have other addresses than before, moves it there by force,
 * since a member that does not find itself in the configuration takes no part in a vote.
 * @returns false when it has to be tried again
 */
async function agreeOnMembers(
  client: MongoClient,
  hosts: readonly string[],
  { correct }: { readonly correct: boolean },
): Promise<boolean> {
  const admin = client.db("admin");
  const members = hosts.map((host, index) => ({ _id: index, host }));
  try {
    const { config } = (await admin.command({ replSetGetConfig: 1 })) as { config: Document };
    const current = (config.members as { host: string }[]).map(({ host }) => host);
    if (!correct || current.join() === hosts.join()) return true;
    await admin.command({
      replSetReconfig: { ...config, version: config.version + 1, members },
      force: true,
    });
    return true;
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.code !== notYetInitialized) throw error;
  }
  // A dead primary of a cluster is missed after 2 s, not 10.
  const settings = { electionTimeoutMillis: 2_000 };
  try {
    await admin.command({ replSetInitiate: { _id: replicaSet, members, settings } });
    return true;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === alreadyInitialized) return false;
    throw error;
  }
}

async function anyWritable(clients: readonly MongoClient[]): Promise<boolean> {
  const states = await Promise.all(
    clients.map((client) =>
      client
        .db("admin")
        .command({ hello: 1 })
        .catch(() => ({ isWritablePrimary: false })),
    ),
  );
  return states.some((state) => state.isWritablePrimary === true);
}
