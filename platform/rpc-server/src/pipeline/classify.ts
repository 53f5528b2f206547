import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { RestTarget, Transcoder } from "@shop/rest";

/** What a request line leads to: a method, by its RPC path or by a REST route; or why it leads nowhere. */
export type Destination =
  | { readonly kind: "method"; readonly method: DescMethod; readonly rest: RestTarget | undefined }
  /** An RPC path that nobody answers for here. */
  | { readonly kind: "no_method" }
  /** No REST route fits, or none with this HTTP method. */
  | { readonly kind: "no_route"; readonly rest: RestTarget };

export interface Routing {
  isReachable(method: DescMethod): boolean;
  find(httpMethod: string, url: string): Destination;
}

const rpcPath = /^\/[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\/[A-Za-z_]\w*$/;

/**
 * The HTTP methods that an RPC path takes if this is none of them; undefined otherwise, and for REST, whose routes `find` has
 * asked. Connect has GET for unary methods without side effects.
 */
export function allowedInstead(destination: Destination, httpMethod: string): readonly string[] | undefined {
  if (destination.kind !== "method" || destination.rest !== undefined) return undefined;
  const { methodKind, idempotency } = destination.method;
  const hasGet = methodKind === "unary" && idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const allowed = hasGet ? ["GET", "POST"] : ["POST"];
  return allowed.includes(httpMethod) ? undefined : allowed;
}

/**
 * Finds methods of services, as their port shows them, from the first line of a request in whichever protocol.
 *
 * @param pages paths that GET reads besides: any other HTTP method is refused there as at a REST route
 */
export function createRouting(
  services: readonly DescService[],
  transcoder: Pick<Transcoder, "target">,
  pages: ReadonlySet<string>,
): Routing {
  const reachable = new Set(services.flatMap((service) => service.methods));
  const byRpcPath = new Map([...reachable].map((method) => [`/${method.parent.typeName}/${method.name}`, method]));

  return {
    isReachable: (method) => reachable.has(method),
    find(httpMethod, url) {
      const path = url.split("?", 1)[0]!;
      const called = byRpcPath.get(path);
      if (called !== undefined) return { kind: "method", method: called, rest: undefined };
      if (rpcPath.test(path)) return { kind: "no_method" };
      const rest = transcoder.target(httpMethod, url);
      if (rest.match.kind === "not_found" && pages.has(path))
        return { kind: "no_route", rest: { ...rest, match: { kind: "method_not_allowed", allow: ["GET", "HEAD"] } } };
      if (rest.match.kind !== "match") return { kind: "no_route", rest };
      return { kind: "method", method: rest.match.route.method, rest };
    },
  };
}
