import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Db, type Document, MongoClient, MongoServerError } from "mongodb";
import { replaceFile } from "../replace-file.ts";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";
import { dockerEnvironment } from "./docker-environment.ts";
import type { ServerSource } from "./resolve-server.ts";
import { serverEnvironment } from "./server-environment.ts";
import { type StartedServer, type Starting, untilReady } from "./starting.ts";
import { accepts } from "./tcp.ts";

const replicaSet = "rs0";
const [userNotFound, roleNotFound, alreadyInitialized, notYetInitialized] = [11, 31, 23, 94];

/**
 * Starts MongoDB as a replica set of all `names` (of one, transactions and majority writes work too) with a primary and the
 * accounts. It never listens without authentication, not even the first time on data that has no users yet: the
 * starter authenticates with the members' key instead of as a user, so the next start completes an interrupted one.
 */
export async function startMongodb(
  source: ServerSource,
  names: readonly string[],
  starting: Starting,
): Promise<StartedServer> {
  if (source.from === "environment") return { urlFor: () => source.url, members: [] };
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
  for (const [index, name] of names.entries()) {
    await untilReady(`${name} listens`, members, () => accepts({ port: ports[index]! }), { docker, signal });
  }

  // A container's port differs inside and outside, and only a direct connection works from outside.
  const hosts = docker ? ["127.0.0.1:27017"] : ports.map((port) => `127.0.0.1:${port}`);
  const clients = ports.map((port) => administrator(port, credentials.mongodbKey));
  try {
    const ready = async () => {
      if (!(await agreeOnMembers(clients[0]!, hosts, { correct: !docker }))) return false;
      const primary = await writable(clients);
      if (primary === undefined) return false;
      await ensureAccounts(primary.db("admin"), starting.accounts, credentials);
      return true;
    };
    await untilReady("mongodb has a primary and the accounts", members, ready, { docker, signal });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
  const [addresses, options] = docker
    ? [`127.0.0.1:${ports[0]}`, "directConnection=true"]
    : [hosts.join(","), `replicaSet=${replicaSet}`];
  return {
    urlFor: (account) =>
      `mongodb://${account}:${credentials.accounts[account]!.mongodbPassword}@${addresses}/?${options}`,
    members,
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

/**
 * A direct connection as the internal user of a replica set's members, whose password is their key:
 * https://www.mongodb.com/docs/manual/reference/system-users-collection/ It exists before any other user does.
 */
function administrator(port: number, key: string): MongoClient {
  return new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`, {
    auth: { username: "__system", password: key },
    authSource: "local",
    serverSelectionTimeoutMS: 5_000,
  });
}

/**
 * Initiates the replica set if it is new; if its members' addresses have changed, forces a reconfiguration,
 * since a member that does not find itself in the configuration takes no part in a vote.
 * @returns false when it has to be retried
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
    if (!hasCode(error, notYetInitialized)) throw error;
  }
  // A dead primary of a cluster is missed after 2 s, not 10.
  const settings = { electionTimeoutMillis: 2_000 };
  try {
    await admin.command({ replSetInitiate: { _id: replicaSet, members, settings } });
    return true;
  } catch (error) {
    if (hasCode(error, alreadyInitialized)) return false;
    throw error;
  }
}

async function writable(clients: readonly MongoClient[]): Promise<MongoClient | undefined> {
  const states = await Promise.all(
    clients.map((client) =>
      client
        .db("admin")
        .command({ hello: 1 })
        .catch(() => ({ isWritablePrimary: false })),
    ),
  );
  return clients[states.findIndex((state) => state.isWritablePrimary === true)];
}

/** Creates or updates each account; one command when all are current. Safe to repeat. */
async function ensureAccounts(admin: Db, accounts: readonly Account[], credentials: Credentials): Promise<void> {
  const wanted = [
    { name: operator, privileges: [], roles: [{ role: "root", db: "admin" }] },
    ...accounts.map(({ name, mongodb: { databases } }) => ({
      name,
      // Besides reads and writes: changing the validator of a collection.
      privileges: databases.map((db) => ({ resource: { db, collection: "" }, actions: ["collMod"] })),
      roles: databases.map((db) => ({ role: "readWrite", db })),
    })),
  ];
  const { users } = (await admin.command({ usersInfo: 1 })) as { users: { user: string; customData?: Document }[] };
  const fingerprints = new Map(users.map(({ user, customData }) => [user, customData?.fingerprint]));
  const writeConcern = { w: "majority" };
  for (const { name, privileges, roles } of wanted) {
    const pwd = credentials.accounts[name]!.mongodbPassword;
    const fingerprint = createHash("sha256")
      .update(JSON.stringify([pwd, privileges, roles]))
      .digest("hex");
    if (fingerprints.get(name) === fingerprint) continue;
    // A role and its user have the same name. The user is written last: its fingerprint marks both as complete.
    await changeOrCreate(admin, roleNotFound, ["updateRole", "createRole"], name, { privileges, roles, writeConcern });
    await changeOrCreate(admin, userNotFound, ["updateUser", "createUser"], name, {
      pwd,
      roles: [{ role: name, db: "admin" }],
      mechanisms: ["SCRAM-SHA-256"],
      customData: { fingerprint },
      writeConcern,
    });
  }
}

async function changeOrCreate(
  admin: Db,
  notFound: number,
  [change, create]: readonly [string, string],
  name: string,
  fields: Document,
): Promise<void> {
  try {
    await admin.command({ [change]: name, ...fields });
  } catch (error) {
    if (!hasCode(error, notFound)) throw error;
    await admin.command({ [create]: name, ...fields });
  }
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof MongoServerError && error.code === code;
}
