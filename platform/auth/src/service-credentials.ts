import { sign, verify } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { ServiceKeys } from "./service-keys.ts";

/**
 * What a credential may be used for. `call`: the service itself calls. `forward`: it passes on a caller's request and is believed
 * about the client's address, but has no say in what the call may do.
 */
export type CredentialPurpose = "call" | "forward";

const algorithm = "EdDSA";
const lifetimeSeconds = 60;
/** A credential is used for half of its life, so that it never expires on its way. */
const reuseMs = (lifetimeSeconds * 1000) / 2;
/** How far the clock of the issuer may be ahead of ours. */
const maxClockSkewSeconds = 5;
/** Told apart by their type, so that neither is taken for the other (RFC 8725, 3.11). */
const types = { call: "service-call+jwt", forward: "service-forward+jwt" } as const;
/** Many times what the processes of a platform use at a time: one per caller, purpose and half minute. */
const rememberedCredentials = 1_000;
/** Header and claims of a credential have about 200 bytes. */
const maxLength = 1_024;

const headerSchema = z.strictObject({
  alg: z.literal(algorithm),
  typ: z.enum(Object.values(types)),
  kid: z.string(),
});
const claimsSchema = z.object({ iss: z.string(), aud: z.string(), iat: z.int(), exp: z.int() });

interface Verified {
  readonly kid: string;
  readonly type: string;
  readonly issuer: string;
  readonly audience: string;
  readonly expiresMs: number;
}

/**
 * Proofs that a request comes from one service and is meant for another one: JSON Web Tokens (RFC 7519), signed with the
 * issuer's Ed25519 key (RFC 8037), that live a minute. Who receives one can't use it elsewhere.
 */
export interface ServiceCredentials {
  /** A credential that is good for at least 30 s. The issuer has to run in this process. */
  issue(issuer: string, audience: string, purpose: CredentialPurpose): string;
  /** The service that issued it; undefined when it is no good for this audience and purpose. */
  verify(credential: string, audience: string, purpose: CredentialPurpose): string | undefined;
}

/**
 * Both are synchronous, unlike those of a library for tokens: the address of a client has to be known before the request that
 * a gateway forwards is looked at any further. A signature is made or checked once per credential; after that a call costs a
 * look into a map, and audience, purpose, expiry and whether the key is still in use are compared each time.
 */
export function createServiceCredentials(keys: Pick<ServiceKeys, "privateKeysOf" | "find">): ServiceCredentials {
  const issued = new Map<string, { readonly credential: string; readonly kid: string; readonly issuedMs: number }>();
  const remembered = new LRUCache<string, Verified>({ max: rememberedCredentials });

  function check(credential: string): Verified | undefined {
    const parts = /^([\w-]+)\.([\w-]+)\.([\w-]{86})$/.exec(credential.length > maxLength ? "" : credential);
    if (parts === null) return undefined;
    const [, head, body, signature] = parts;
    const header = headerSchema.safeParse(decoded(head!));
    const key = header.success ? keys.find(header.data.kid) : undefined;
    if (!header.success || key === undefined) return undefined;
    const isSigned = verify(null, Buffer.from(`${head}.${body}`), key.key, Buffer.from(signature!, "base64url"));
    const claims = isSigned ? claimsSchema.safeParse(decoded(body!)) : undefined;
    if (!claims?.success) return undefined;
    const { iss, aud, iat, exp } = claims.data;
    if (exp - iat > lifetimeSeconds || iat > Date.now() / 1000 + maxClockSkewSeconds) {
      return undefined;
    }
    const { kid, typ } = header.data;
    return { kid, type: typ, issuer: iss, audience: aud, expiresMs: exp * 1000 };
  }

  return {
    issue(issuer, audience, purpose) {
      const [signing] = keys.privateKeysOf(issuer);
      const now = Date.now();
      const use = `${purpose} ${issuer} ${audience}`;
      const before = issued.get(use);
      // A clock that was set back makes it one from the future.
      if (before?.kid === signing!.kid && before.issuedMs <= now && now < before.issuedMs + reuseMs) {
        return before.credential;
      }
      const iat = Math.floor(now / 1000);
      const head = encoded({ alg: algorithm, typ: types[purpose], kid: signing!.kid });
      const body = encoded({ iss: issuer, aud: audience, iat, exp: iat + lifetimeSeconds });
      const signature = sign(null, Buffer.from(`${head}.${body}`), signing!.key).toString("base64url");
      const credential = `${head}.${body}.${signature}`;
      issued.set(use, { credential, kid: signing!.kid, issuedMs: now });
      return credential;
    },
    verify(credential, audience, purpose) {
      let verified = remembered.get(credential);
      if (verified === undefined) {
        verified = check(credential);
        if (verified === undefined) return undefined;
        remembered.set(credential, verified);
      }
      const isMeant = verified.audience === audience && verified.type === types[purpose];
      if (!isMeant || Date.now() >= verified.expiresMs) return undefined;
      // A service speaks for itself alone, whatever it signs; and a key that was removed for nothing, whatever is remembered.
      return keys.find(verified.kid)?.service === verified.issuer ? verified.issuer : undefined;
    },
  };
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

/** Undefined when it is no JSON. */
function decoded(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return undefined;
  }
}
