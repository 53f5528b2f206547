import type { JsonObject } from "@bufbuild/protobuf";
import type { Caller, Case, ExpectedError, MethodContract } from "../contract.ts";
import { type AnyMethod, nameOf } from "./clients.ts";
import { byMethod, contracts, type World } from "./contracts.ts";

export type { Caller, ExpectedError, World };

/** One call and its expected result, in every protocol. */
export interface Row extends Case<World> {
  readonly method: AnyMethod;
}

/** The access rule of each method. */
export const accessRules = byMethod(({ access }) => access);

/** The error of authorization for each caller; other callers are admitted. */
export const authorizationErrors: Readonly<
  Record<MethodContract<World>["access"], Partial<Record<Caller, ExpectedError>>>
> = {
  PUBLIC: {},
  AUTHENTICATED: {
    anonymous: { code: "Unauthenticated", reason: "ACCESS_TOKEN_MISSING" },
    forger: { code: "Unauthenticated", reason: "ACCESS_TOKEN_INVALID" },
  },
  ADMIN: {
    anonymous: { code: "Unauthenticated", reason: "ACCESS_TOKEN_MISSING" },
    forger: { code: "Unauthenticated", reason: "ACCESS_TOKEN_INVALID" },
    owner: { code: "PermissionDenied", reason: "ADMIN_REQUIRED" },
    customer: { code: "PermissionDenied", reason: "ADMIN_REQUIRED" },
  },
  INTERNAL: {
    anonymous: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    forger: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    owner: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    customer: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
    admin: { code: "PermissionDenied", reason: "INTERNAL_ONLY" },
  },
};

/** An invalid request for each method, so that a call that passes authorization changes nothing. */
export const invalidRequests: Readonly<Record<string, JsonObject>> = byMethod(({ invalid }) => invalid);

export const rows: readonly Row[] = contracts.flatMap(({ method, cases }) => cases.map((one) => ({ ...one, method })));

/** A row as a sentence. */
export function titleOf({ method, as, says }: Row): string {
  return `${nameOf(method).replace(/^.*\./, "")} as ${as} ${says}`;
}
