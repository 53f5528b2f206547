import { existsSync, readFileSync } from "node:fs";
import { createServiceCredentials, readServiceKeys, type ServiceCredentials } from "@shop/auth";
import type { PrivateServiceJwk } from "@shop/auth/service-jwk";
import { createLogger } from "@shop/core";
import { internalCredentialHeader } from "@shop/http-port";
import { type KeyOwner, keyOwners, serviceKeyFiles } from "@shop/tools/service-keys";

const known = new Map<string, ServiceCredentials>();

/** The credentials of that service's process, from the keys in the DATA_DIR of a shop. */
export function credentialsOf(dataDir: string, service: KeyOwner): ServiceCredentials {
  const { publicFile, privateFile } = serviceKeyFiles(dataDir);
  const privateFiles = [privateFile(service)];
  const credentials =
    known.get(privateFiles[0]!) ??
    createServiceCredentials(
      readServiceKeys({ privateFiles, publicFile, services: [service], log: createLogger("error") }),
    );
  known.set(privateFiles[0]!, credentials);
  return credentials;
}

/** The header by which a service authenticates to another. */
export function serviceHeaders(dataDir: string, service: KeyOwner, audience: string): Record<string, string> {
  return { [internalCredentialHeader]: credentialsOf(dataDir, service).issue(service, audience, "call") };
}

/** The signing private keys in the DATA_DIR of a shop, by owner. */
export function privateKeysIn(dataDir: string): Partial<Record<KeyOwner, PrivateServiceJwk>> {
  const { privateFile } = serviceKeyFiles(dataDir);
  const owners = keyOwners.filter((owner) => existsSync(privateFile(owner)));
  return Object.fromEntries(
    owners.map((owner) => [owner, JSON.parse(readFileSync(privateFile(owner), "utf8")).keys[0]]),
  );
}
