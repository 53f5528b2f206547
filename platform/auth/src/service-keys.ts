import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError, type Logger } from "@shop/core";
import { z } from "zod";
import { generateServiceKey, type PrivateServiceJwk, type PublicServiceJwk, publicHalf } from "./service-jwk.ts";

/** How often the files are read, in milliseconds; a change takes effect within that time. */
const readIntervalMs = 2_000;
/** An unknown key id causes the file of public keys to be read at once, at most once in this time, in milliseconds. */
const unknownKeyReadMs = 1_000;

const base64url32Bytes = z.string().regex(/^[\w-]{43}$/);
/** An Ed25519 key as a JSON Web Key (RFC 8037) with the service it belongs to. */
const publicJwk = z.strictObject({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  kid: z.string().min(1).max(100),
  service: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  x: base64url32Bytes,
});
const privateJwk = publicJwk.extend({ d: base64url32Bytes });

export interface PrivateServiceKey {
  readonly kid: string;
  readonly key: KeyObject;
  /** The private key itself, base64url: for deriving other secrets. Never show it. */
  readonly secret: string;
}

export interface PublicServiceKey {
  readonly service: string;
  readonly key: KeyObject;
}

/** The keys by which services authenticate: private keys of the services in this process, public keys of all. */
export interface ServiceKeys {
  /** The private keys of a service in this process, at least one; the first one signs. */
  privateKeysOf(service: string): readonly PrivateServiceKey[];
  /** The public key of that id; undefined if it is not in use. */
  find(kid: string): PublicServiceKey | undefined;
  close(): void;
}

/** The key files; set both, or neither. */
export interface KeyFiles {
  readonly SERVICE_KEY_FILES?: readonly string[] | undefined;
  readonly PUBLIC_KEYS_FILE?: string | undefined;
}

/**
 * The keys of the services in a process: from the configured files, or random ones without them, with which they can call each
 * other but no other process.
 *
 * @throws ConfigError like {@link readServiceKeys}, and if the environment still relies on INTERNAL_SECRET
 */
export function openServiceKeys(
  services: readonly string[],
  settings: KeyFiles,
  environment: NodeJS.ProcessEnv,
  log: Logger,
): ServiceKeys {
  const { SERVICE_KEY_FILES: privateFiles, PUBLIC_KEYS_FILE: publicFile } = settings;
  if (privateFiles !== undefined && publicFile !== undefined) {
    return readServiceKeys({ privateFiles, publicFile, services, log });
  }
  if (privateFiles !== undefined || publicFile !== undefined) {
    throw new ConfigError("SERVICE_KEY_FILES and PUBLIC_KEYS_FILE: set both, or none");
  }
  if (services.length === 1 && environment.INTERNAL_SECRET) {
    throw new ConfigError(
      "INTERNAL_SECRET is no longer used: set SERVICE_KEY_FILES and PUBLIC_KEYS_FILE (docs/runbook.md, Keys of services)",
    );
  }
  if (services.length === 1) {
    log.warn("SERVICE_KEY_FILES is not set: this process can't call other processes, nor be called by them");
  }
  return randomServiceKeys(services);
}

/** Random keys for services that are only called within this process. */
function randomServiceKeys(services: readonly string[]): ServiceKeys {
  const jwks = services.map(generateServiceKey);
  const known = keyRing(jwks, jwks.map(publicHalf), services);
  return { ...known, close: () => {} };
}

/**
 * Keys in files, as JSON Web Key Sets (RFC 7517), that are read again every two seconds, so that keys can be rotated while
 * calls run: first add the new public key, then put the new private key before the old one, then remove the old ones. A file
 * that becomes invalid is reported, and the keys read before stay in use.
 *
 * @throws ConfigError if at the start a file can't be read, a service of this process has no private key, or a file holds a
 * private key of a service that does not run here
 */
export function readServiceKeys(options: {
  /** Paths of the private keys of this process's services. */
  readonly privateFiles: readonly string[];
  /** Path of the public keys of all services. */
  readonly publicFile: string;
  readonly services: readonly string[];
  readonly log: Logger;
}): ServiceKeys {
  const { privateFiles, publicFile, services, log } = options;
  let text = "";
  let ring = read();
  let readAt = performance.now();

  function read(): KeyRing {
    const texts = [...privateFiles, publicFile].map(readText);
    const [publicText, ...privateTexts] = texts.toReversed();
    const keys = keyRing(
      privateTexts.flatMap((one, index) => parse(privateJwk, one, privateFiles.toReversed()[index]!)),
      parse(publicJwk, publicText!, publicFile),
      services,
    );
    text = texts.join("\n");
    return keys;
  }

  function readAgain(): void {
    readAt = performance.now();
    try {
      if ([...privateFiles, publicFile].map(readText).join("\n") === text) return;
      ring = read();
      const signing = services.map((service) => ring.privateKeysOf(service)[0]!.kid);
      log.info({ signing, known: ring.kids }, "the service keys changed");
    } catch (error) {
      log.error({ err: error }, "the service keys can't be read, the previous ones stay in use");
    }
  }

  const timer = setInterval(readAgain, readIntervalMs).unref();
  return {
    privateKeysOf: (service) => ring.privateKeysOf(service),
    find(kid) {
      const known = ring.find(kid);
      if (known !== undefined || performance.now() - readAt < unknownKeyReadMs) return known;
      readAgain();
      return ring.find(kid);
    },
    close: () => clearInterval(timer),
  };
}

interface KeyRing extends Pick<ServiceKeys, "privateKeysOf" | "find"> {
  readonly kids: readonly string[];
}

/**
 * Combines keys.
 *
 * @throws ConfigError if the keys do not match each other, or the services
 */
export function keyRing(
  privateJwks: readonly PrivateServiceJwk[],
  publicJwks: readonly PublicServiceJwk[],
  services: readonly string[],
): KeyRing {
  const known = new Map<string, PublicServiceKey & { readonly x: string }>();
  for (const jwk of publicJwks) {
    if (known.has(jwk.kid)) throw new ConfigError(`two public keys have the id ${jwk.kid}`);
    const key = createPublicKey({ format: "jwk", key: publicPart(jwk) });
    known.set(jwk.kid, { service: jwk.service, key, x: jwk.x });
  }
  const own = new Map<string, PrivateServiceKey[]>(services.map((service) => [service, []]));
  for (const jwk of privateJwks) {
    const keys = own.get(jwk.service);
    if (keys === undefined) {
      throw new ConfigError(`${jwk.kid} is a private key of ${jwk.service}, which does not run in this process`);
    }
    const key = createPrivateKey({ format: "jwk", key: { ...publicPart(jwk), d: jwk.d } });
    const published = known.get(jwk.kid);
    if (published !== undefined && (published.service !== jwk.service || published.x !== jwk.x)) {
      throw new ConfigError(`the public key ${jwk.kid} is not the one of ${jwk.service}`);
    }
    keys.push({ kid: jwk.kid, key, secret: jwk.d });
  }
  for (const [service, [signing]] of own) {
    if (signing === undefined) throw new ConfigError(`no private key of ${service} is configured`);
    if (!known.has(signing.kid)) throw new ConfigError(`${signing.kid} signs, but is not among the public keys`);
  }
  return {
    kids: [...known.keys()],
    find: (kid) => known.get(kid),
    privateKeysOf(service) {
      const keys = own.get(service);
      if (keys === undefined) throw new Error(`${service} does not run in this process`);
      return keys;
    },
  };
}

function publicPart({ kty, crv, x }: PublicServiceJwk | PrivateServiceJwk): JsonWebKey {
  return { kty, crv, x };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`${path} can't be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** Parses a key file. Errors name the file and the place in it, never its content. */
function parse<Jwk>(jwk: z.ZodType<Jwk>, text: string, path: string): Jwk[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ConfigError(`${path} is not JSON`);
  }
  const result = z.object({ keys: z.array(jwk).min(1) }).safeParse(json);
  if (result.success) return result.data.keys;
  const [issue] = result.error.issues;
  throw new ConfigError(`${path} is not a set of service keys: ${issue!.path.join(".")}: ${issue!.message}`);
}
