import { createHash } from "node:crypto";
import { type Db, type Document, MongoClient, MongoServerError } from "mongodb";
import { waitUntil } from "../wait.ts";
import { type Account, operator } from "./account.ts";
import type { Credentials } from "./credentials.ts";

/** An election takes less. */
const attemptMs = 10_000;
const [userNotFound, roleNotFound, alreadyInitialized, notYetInitialized] = [11, 31, 23, 94];

/**
 * Waits up to ten seconds until the members are a replica set `rs0` with a primary and the accounts. Safe to repeat.
 * @throws Error with the reason why they are not
 */
export async function prepareMongodb(wanted: {
  /** The members' ports on this machine. */
  readonly ports: readonly number[];
  /** Their addresses for each other, `host:port`. */
  readonly hosts: readonly string[];
  /** Whether the addresses of an existing replica set are replaced by these. */
  readonly correct: boolean;
  readonly accounts: readonly Account[];
  readonly credentials: Credentials;
}): Promise<true> {
  const { ports, hosts, correct, accounts, credentials } = wanted;
  const clients = ports.map((port) => administrator(port, credentials.mongodbKey));
  const ready = async () => {
    if (!(await agreeOnMembers(clients[0]!, hosts, { correct }))) return false;
    const primary = await writable(clients);
    if (primary === undefined) return false;
    await ensureAccounts(primary.db("admin"), accounts, credentials);
    return true;
  };
  try {
    return await waitUntil(ready, { what: "mongodb has a primary and the accounts", timeoutMs: attemptMs });
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
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
    await admin.command({ replSetInitiate: { _id: "rs0", members, settings } });
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
