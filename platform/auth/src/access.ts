import { type DescMethod, type DescService, getOption, hasOption } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import { DomainError } from "@shop/core";
import { Access, access, callers } from "@shop/gen/shop/common/v1/access_pb";
import { internalCredentialHeader } from "@shop/http-port";
import { type Authorize, authorizedCaller, isRead, ticketIn } from "@shop/rpc-server";
import type { VerifyAccessToken } from "./access-tokens.ts";
import { anonymous, isAdmin, type Principal } from "./principal.ts";

/** Who calls the method that this context belongs to. */
export function callerOf(context: { readonly values: ContextValues }): Principal {
  return authorizedCaller(context.values) as Principal;
}

/** The id of the signed-in user. For methods that only users can call. */
export function userIdOf(context: { readonly values: ContextValues }): string {
  const caller = callerOf(context);
  if (caller.kind !== "user") {
    throw new DomainError("permission_denied", "USER_REQUIRED", "only somebody with an account can do this");
  }
  return caller.userId;
}

const rules = new WeakMap<DescMethod, Access>();

/** The method's rule, UNSPECIFIED when it has none; read from its options once. */
function declaredAccessOf(method: DescMethod): Access {
  const known = rules.get(method);
  if (known !== undefined) return known;
  const rule = hasOption(method, access) ? getOption(method, access) : Access.UNSPECIFIED;
  rules.set(method, rule);
  return rule;
}

const callerLists = new WeakMap<DescMethod, readonly string[]>();

/** The services that the method names as its callers; read from its options once. */
function declaredCallersOf(method: DescMethod): readonly string[] {
  const known = callerLists.get(method);
  if (known !== undefined) return known;
  const named = hasOption(method, callers) ? getOption(method, callers) : [];
  callerLists.set(method, named);
  return named;
}

/**
 * The method's rule; throws when it has none, so that it can't be served by oversight, and when its callers don't fit it: an
 * INTERNAL method that nobody may call, or callers of a method that does not look at them.
 */
function accessRuleOf(method: DescMethod): Access {
  const rule = declaredAccessOf(method);
  const name = `${method.parent.typeName}.${method.name}`;
  if (rule === Access.UNSPECIFIED) throw new Error(`${name} declares no access rule`);
  const hasCallers = declaredCallersOf(method).length > 0;
  if (rule === Access.INTERNAL && !hasCallers) throw new Error(`${name} is INTERNAL and names no callers`);
  if (rule !== Access.INTERNAL && rule !== Access.ADMIN && hasCallers) {
    throw new Error(`${name} names callers, which only a method that is INTERNAL or ADMIN has`);
  }
  return rule;
}

/** The services as a port shows them: on a public port, without what is INTERNAL. */
export function reachableServices(services: readonly DescService[], isPublic: boolean): DescService[] {
  const isReachable = (method: DescMethod) => !(accessRuleOf(method) === Access.INTERNAL && isPublic);
  return services.map((service) => ({ ...service, methods: service.methods.filter(isReachable) }));
}

/** RFC 6750 2.1 as RFC 9110 11.4 writes it: one blank or more, and the scheme in any case. */
const bearer = /^bearer +(\S+) *$/i;

export function createAuthorize(options: {
  readonly verifyAccessToken: VerifyAccessToken;
  /**
   * The service that issued the credential, for a call of this method; undefined when it is no good. Absent on a public port:
   * there no call is a service's.
   */
  readonly verifyCredential: ((credential: string, method: DescMethod) => string | undefined) | undefined;
}): Authorize<Principal> {
  /** The service that calls, if it may. */
  function serviceOf(method: DescMethod, header: Headers): Principal | undefined {
    const allowed = declaredCallersOf(method);
    const credential = allowed.length === 0 ? null : header.get(internalCredentialHeader);
    const name = credential === null ? undefined : options.verifyCredential?.(credential, method);
    return name !== undefined && allowed.includes(name) ? { kind: "service", name } : undefined;
  }

  async function userOf(method: DescMethod, header: Headers): Promise<Principal> {
    // Every request whose method streams has had its ticket moved: what it says of its path is true.
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
          throw new DomainError("permission_denied", "INTERNAL_ONLY", "only a part of the platform can do this");
        }
        return principal;
      }
      default:
        throw new Error(`${method.name} has an access rule that is not known here`);
    }
  };
}

/** Whether answers to a method are the same for everybody and change nothing. */
export function isPublicRead(method: DescMethod): boolean {
  return method.methodKind === "unary" && isRead(method) && declaredAccessOf(method) === Access.PUBLIC;
}
