import { sign, verify } from "node:crypto";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import type { ServiceKeys } from "./service-keys.ts";

/**
 * The purpose of a credential. `call`: the service itself calls. `forward`: it forwards a caller's request, and is trusted to
 * report the client address, but the credential grants no access.
 */
export type CredentialPurpose = "call" | "forward";

const algorithm = "EdDSA";
const lifetimeSeconds = 60;
/** A credential is reused for half of its lifetime, so that it never expires in transit. */
const reuseMs = (lifetimeSeconds * 1000) / 2;
/** How far the clock of the issuer may be ahead of ours. */
const maxClockSkewSeconds = 5;
/** Distinguished by type, so that one is not accepted as the other (RFC 8725, 3.11). */
const types = { call: "service-call+jwt", forward: "service-forward+jwt" } as const;
/** Many times the number in use at a time: one per caller, purpose and half minute. */
const rememberedCredentials = 1_000;
/** A credential has about 200 bytes of header and claims. */
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
 * Credentials by which one service authenticates to another: JSON Web Tokens (RFC 7519), signed with the issuer's Ed25519 key
 * (RFC 8037), with a lifetime of a minute. The receiver can't reuse one elsewhere, since it names its audience.
 */
export interface ServiceCredentials {
  /** Issues a credential that is valid for at least 30 s. The issuer must run in this process. */
  issue(issuer: string, audience: string, purpose: CredentialPurpose): string;
  /** The service that issued a credential; undefined if it is not valid for this audience and purpose. */
  verify(credential: string, audience: string, purpose: CredentialPurpose): string | undefined;
}

/**
 * Both operations are synchronous, unlike those of a JWT library: the client address must be known before anything else is done
 * with a forwarded request. A signature is created or verified once per credential; after that a call costs a map lookup, and
 * audience, purpose, expiry and whether the key is still in use are compared each time.
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
      // If the clock was set back, it was issued in the future.
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
      // A service may only issue in its own name; and a removed key is refused even for a cached credential.
      return keys.find(verified.kid)?.service === verified.issuer ? verified.issuer : undefined;
    },
  };
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

/** Undefined if it is not JSON. */
function decoded(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return undefined;
  }
}
