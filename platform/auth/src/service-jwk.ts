import { generateKeyPairSync } from "node:crypto";

/** An Ed25519 public key as a JSON Web Key (RFC 8037), with the service it belongs to. */
export interface PublicServiceJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly kid: string;
  readonly service: string;
  /** 32 bytes in base64url. */
  readonly x: string;
}

export interface PrivateServiceJwk extends PublicServiceJwk {
  /** 32 bytes in base64url. */
  readonly d: string;
}

/** Generates a key of a service, in the format of the private key file. */
export function generateServiceKey(service: string): PrivateServiceJwk {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { x, d } = privateKey.export({ format: "jwk" }) as { x: string; d: string };
  return { kty: "OKP", crv: "Ed25519", kid: `${service}-${x.slice(0, 12)}`, service, x, d };
}

/** The public part of a key. */
export function publicHalf({ kty, crv, kid, service, x }: PrivateServiceJwk): PublicServiceJwk {
  return { kty, crv, kid, service, x };
}
