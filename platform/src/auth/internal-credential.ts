import { errors, jwtVerify, SignJWT } from "jose";
import { LRUCache } from "lru-cache";
import type { Principal } from "./principal.ts";

/** Carries the credential of a part of the platform. Forwarders at a public port drop it. */
export const internalCredentialHeader = "x-internal-credential";

const algorithm = "HS256";
const audience = "internal";
const lifetimeSeconds = 60;
/** A credential is used for half of its life, so that it never expires on its way. */
const reuseMs = (lifetimeSeconds * 1000) / 2;

/** Short-lived proofs that a call comes from a part of the platform, made and checked with one shared secret. */
export interface InternalCredentials {
  /** A credential for the header, good for at least 30 s. */
  issue(): Promise<string>;
  /** Who sent it; undefined when it is not good. */
  verify(credential: string): Promise<Principal | undefined>;
}

/** `name` is the part of the platform that issues; whoever shares `secret` can check. */
export function createInternalCredentials(name: string, secret: string): InternalCredentials {
  const key = new TextEncoder().encode(secret);
  const remembered = new LRUCache<string, Principal>({ max: 100 });
  let issued: { readonly credential: Promise<string>; readonly until: number } | undefined;

  return {
    issue() {
      if (issued === undefined || Date.now() > issued.until) {
        const credential = new SignJWT()
          .setProtectedHeader({ alg: algorithm })
          .setSubject(name)
          .setAudience(audience)
          .setIssuedAt()
          .setExpirationTime(`${lifetimeSeconds}s`)
          .sign(key);
        issued = { credential, until: Date.now() + reuseMs };
      }
      return issued.credential;
    },
    async verify(credential) {
      const known = remembered.get(credential);
      if (known !== undefined) return known;
      try {
        const { payload } = await jwtVerify(credential, key, {
          algorithms: [algorithm],
          audience,
          requiredClaims: ["sub", "exp"],
        });
        const principal: Principal = { kind: "service", name: payload.sub! };
        const ttl = payload.exp! * 1000 - Date.now();
        if (ttl > 0) remembered.set(credential, principal, { ttl });
        return principal;
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}
