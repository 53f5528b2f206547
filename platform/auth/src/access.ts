import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import { DomainError } from "@shop/core";
import { Access, access, callers } from "@shop/gen/shop/common/v1/access_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { type Authorize, authorizedCaller, isRead, ticketIn } from "@shop/rpc-server";
import type { VerifyAccessToken } from "./access-tokens.ts";
import { anonymous, isAdmin, type Principal } from "./principal.ts";

/** The caller of the method with this context. */
export function callerOf(context: { readonly values: ContextValues }): Principal {
  return authorizedCaller(context.values) as Principal;
}

/**
 * The id of the signed-in user, for methods that only users can call.
 *
 * @throws USER_REQUIRED for any other caller
 */
export function userIdOf(context: { readonly values: ContextValues }): string {
  const caller = callerOf(context);
  if (caller.kind !== "user") {
    throw new DomainError("permission_denied", "USER_REQUIRED", "only a signed-in user can do this");
  }
  return caller.userId;
}

const rules = new WeakMap<DescMethod, Access>();

/** The method's access rule, UNSPECIFIED if it has none. Cached. */
function declaredAccessOf(method: DescMethod): Access {
  const known = rules.get(method);
  if (known !== undefined) return known;
  const rule = hasOption(method, access) ? getOption(method, access) : Access.UNSPECIFIED;
  rules.set(method, rule);
  return rule;
}

const callerLists = new WeakMap<DescMethod, readonly string[]>();

/** The services that the method declares as its callers. Cached. */
function declaredCallersOf(method: DescMethod): readonly string[] {
  const known = callerLists.get(method);
  if (known !== undefined) return known;
  const named = hasOption(method, callers) ? getOption(method, callers) : [];
  callerLists.set(method, named);
  return named;
}

/**
 * The method's access rule. Throws if it has none, so that no method is served by oversight, and if its callers contradict it:
 * an INTERNAL method without callers, or callers of a method that ignores them.
 */
function accessRuleOf(method: DescMethod): Access {
  const rule = declaredAccessOf(method);
  const name = `${method.parent.typeName}.${method.name}`;
  if (rule === Access.UNSPECIFIED) throw new Error(`${name} declares no access rule`);
  const hasCallers = declaredCallersOf(method).length > 0;
  if (rule === Access.INTERNAL && !hasCallers) throw new Error(`${name} is INTERNAL and declares no callers`);
  if (rule !== Access.INTERNAL && rule !== Access.ADMIN && hasCallers) {
    throw new Error(`${name} declares callers, which only INTERNAL and ADMIN methods may have`);
  }
  return rule;
}

/** The services that a port exposes: a public port without INTERNAL methods. */
export function reachableServices(services: readonly DescService[], isPublic: boolean): DescService[] {
  const isReachable = (method: DescMethod) => !(accessRuleOf(method) === Access.INTERNAL && isPublic);
  return services.map((service) => ({ ...service, methods: service.methods.filter(isReachable) }));
}

/** RFC 6750 2.1 with the syntax of RFC 9110 11.4: the scheme in any case, and one or more spaces. */
const bearer = /^bearer +(\S+) *$/i;

/** Authorizes calls by the access rules in the schema. */
export function createAuthorize(options: {
  readonly verifyAccessToken: VerifyAccessToken;
  /**
   * Returns the service that issued a credential for this method; undefined if it is invalid. Absent on a public port, where no
   * caller is a service.
   */
  readonly verifyCredential: ((credential: string, method: DescMethod) => string | undefined) | undefined;
}): Authorize<Principal> {
  /** The calling service, if the method allows it. */
  function serviceOf(method: DescMethod, header: Headers): Principal | undefined {
    const allowed = declaredCallersOf(method);
    const credential = allowed.length === 0 ? null : header.get(internalCredentialHeader);
    const name = credential === null ? undefined : options.verifyCredential?.(credential, method);
    return name !== undefined && allowed.includes(name) ? { kind: "service", name } : undefined;
  }

  async function userOf(method: DescMethod, header: Headers): Promise<Principal> {
    // Tickets of streaming methods were moved by the port, so their path is that of the request.
    const found = method.methodKind === "server_streaming" ? ticketIn(header) : undefined;
    if (found !== undefined) return await options.verifyAccessToken(found.ticket, found.path);
    const token = bearer.exec(header.get("authorization") ?? "")?.[1];
    if (token === undefined) {
      throw new DomainError(
        "unauthenticated",
        "ACCESS_TOKEN_MISSING",
        "send an access token: Authorization: Bearer ...",
      );
    }
    return await options.verifyAccessToken(token);
  }

  return async (method, header) => {
    switch (accessRuleOf(method)) {
      case Access.PUBLIC:
        return anonymous;
      case Access.AUTHENTICATED:
        return await userOf(method, header);
      case Access.ADMIN: {
        const service = serviceOf(method, header);
        if (service !== undefined) return service;
        const principal = await userOf(method, header);
        if (!isAdmin(principal))
          throw new DomainError("permission_denied", "ADMIN_REQUIRED", "only an administrator can do this");
        return principal;
      }
      case Access.INTERNAL: {
        const principal = serviceOf(method, header);
        if (principal === undefined) {
          throw new DomainError("permission_denied", "INTERNAL_ONLY", "only a service of the platform can do this");
        }
        return principal;
      }
      default:
        throw new Error(`${method.name} has an unknown access rule`);
    }
  };
}

/** Whether a method's answers are the same for every caller, and calling it changes nothing. */
export function isPublicRead(method: DescMethod): boolean {
  return method.methodKind === "unary" && isRead(method) && declaredAccessOf(method) === Access.PUBLIC;
}
