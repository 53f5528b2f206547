import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { generateServiceKey, type PrivateServiceJwk, type PublicServiceJwk, publicHalf } from "@shop/auth/service-jwk";
import { type ProcessName, processNames } from "@shop/topology";
import { replaceFile } from "./replace-file.ts";

/** The owners of keys: the services, and `starter`, as which the tools authenticate. */
export type KeyOwner = ProcessName | "starter";
export const keyOwners: readonly KeyOwner[] = [...processNames, "starter"];

/** Each in its own folder, so that a container can mount one and sees its changes. */
export interface ServiceKeyFiles {
  /** The public keys of all. */
  readonly publicFile: string;
  /** The private keys of one owner; only the file's owner can read it. */
  privateFile(owner: KeyOwner): string;
}

export function serviceKeyFiles(dataDir: string): ServiceKeyFiles {
  const fileOf = (folder: string) => join(dataDir, "keys", folder, "keys.json");
  return { publicFile: fileOf("public"), privateFile: fileOf };
}

/** Generates missing keys. */
export function ensureServiceKeys(dataDir: string): ServiceKeyFiles {
  const files = serviceKeyFiles(dataDir);
  const missing: (readonly [KeyOwner, PrivateServiceJwk])[] = [];
  const published = new Map(readKeys<PublicServiceJwk>(files.publicFile).map((jwk) => [jwk.kid, jwk]));
  for (const owner of keyOwners) {
    const before = readKeys<PrivateServiceJwk>(files.privateFile(owner));
    const keys = before.length > 0 ? before : [generateServiceKey(owner)];
    if (before.length === 0) missing.push([owner, keys[0]!]);
    for (const jwk of keys) published.set(jwk.kid, publicHalf(jwk));
  }
  writePublicKeys(files, [...published.values()]);
  for (const [owner, jwk] of missing) writePrivateKeys(files, owner, [jwk]);
  return files;
}

/**
 * Rotates the keys of every owner while the shop runs, in three steps: the new public keys are added, then the new private keys
 * sign, then the old ones are removed. Safe to run again after an interruption.
 *
 * `untilRead` waits until every process has read the written files, `untilUnused` also until every earlier
 * credential has expired.
 */
export async function rotateServiceKeys(
  dataDir: string,
  { untilRead, untilUnused }: { untilRead(): Promise<void>; untilUnused(): Promise<void> },
): Promise<void> {
  const files = ensureServiceKeys(dataDir);
  const owners = keyOwners.map((owner) => ({
    owner,
    old: readKeys<PrivateServiceJwk>(files.privateFile(owner)),
    next: generateServiceKey(owner),
  }));
  const nextPublic = owners.map(({ next }) => publicHalf(next));

  writePublicKeys(files, [...readKeys<PublicServiceJwk>(files.publicFile), ...nextPublic]);
  await untilRead();
  for (const { owner, old, next } of owners) writePrivateKeys(files, owner, [next, ...old]);
  await untilUnused();
  writePublicKeys(files, nextPublic);
  for (const { owner, next } of owners) writePrivateKeys(files, owner, [next]);
}

function readKeys<Jwk>(file: string): Jwk[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as { keys: Jwk[] }).keys : [];
}

function writePublicKeys({ publicFile }: ServiceKeyFiles, keys: readonly PublicServiceJwk[]): void {
  replaceFile(publicFile, `${JSON.stringify({ keys }, null, 2)}\n`);
}

function writePrivateKeys(files: ServiceKeyFiles, owner: KeyOwner, keys: readonly PrivateServiceJwk[]): void {
  replaceFile(files.privateFile(owner), `${JSON.stringify({ keys }, null, 2)}\n`);
}
