import { randomBytes } from "node:crypto";
import { readSecrets, storedSecrets } from "../secrets-file.ts";
import { type Account, operator } from "./account.ts";

/** The credentials of an account. */
export interface AccountCredentials {
  readonly mongodbPassword: string;
  readonly redisPassword: string;
  /** An NKey: NATS knows the public half only, and a client signs the server's challenge, so no secret is sent. */
  readonly natsSeed: string;
  readonly natsPublicKey: string;
}

/** The credentials of all accounts of a data directory's servers. */
export interface Credentials {
  /** Members of the replica set authenticate with it, and the starter as their administrator. */
  readonly mongodbKey: string;
  /** Members of a NATS cluster authenticate with it. */
  readonly natsRoutePassword: string;
  readonly accounts: Readonly<Record<string, AccountCredentials>>;
}

/** Reads them from `<dataDir>/secrets.json`; missing ones, as for a new account, are generated and stored first. */
export async function serverCredentials(dataDir: string, accounts: readonly Account[]): Promise<Credentials> {
  const names = [operator, ...accounts.map(({ name }) => name)];
  const stored = readSecrets(dataDir).servers as Credentials | undefined;
  const missing = names.filter((name) => stored?.accounts[name] === undefined);
  const generated = await Promise.all(missing.map(async (name) => [name, await generateCredentials()] as const));
  return storedSecrets<Credentials>(dataDir, "servers", (stored) => ({
    // mongod accepts 6 to 1,024 characters of base64.
    mongodbKey: stored?.mongodbKey ?? randomBytes(96).toString("base64"),
    natsRoutePassword: stored?.natsRoutePassword ?? randomSecret(),
    accounts: { ...stored?.accounts, ...Object.fromEntries(generated) },
  }));
}

async function generateCredentials(): Promise<AccountCredentials> {
  // Loaded at the first start only.
  const { nkeys } = await import("@nats-io/transport-node");
  const pair = nkeys.createUser();
  return {
    mongodbPassword: randomSecret(),
    redisPassword: randomSecret(),
    natsSeed: new TextDecoder().decode(pair.getSeed()),
    natsPublicKey: pair.getPublicKey(),
  };
}

function randomSecret(): string {
  return randomBytes(32).toString("base64url");
}
