import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { generateServiceKey, type PrivateServiceJwk, type PublicServiceJwk, publicHalf } from "@shop/auth";
import { type ProcessName, processNames } from "@shop/topology";
import { replaceFile } from "./replace-file.ts";

/** Who has keys of their own: the services, and `starter`, by which the tools load products. */
export type KeyOwner = ProcessName | "starter";
export const keyOwners: readonly KeyOwner[] = [...processNames, "starter"];

/** Each in a folder of its own, so that a container can be given one and sees it change. */
export interface ServiceKeyFiles {
  /** The public keys of all. */
  readonly publicFile: string;
  /** The private keys of one; only the owner of the file can read it. */
  privateFile(owner: KeyOwner): string;
}

export function serviceKeyFiles(dataDir: string): ServiceKeyFiles {
  const fileOf = (folder: string) => join(dataDir, "keys", folder, "keys.json");
  return { publicFile: fileOf("public"), privateFile: fileOf };
}

/** Makes the keys that are not there yet. */
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
 * Gives every owner another key while the shop runs, in three steps: the new public keys are added, then the new private keys
 * sign, then the old ones are removed. Safe to run again after it was cut short.
 *
 * `untilRead` waits until every process has read what was just written, `untilUnused` also until no credential that was issued
 * before is good any more.
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
